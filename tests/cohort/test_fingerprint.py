"""Statistics against numpy on the voxels themselves."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest

from kidneyseg.cohort.case import Case
from kidneyseg.cohort.fingerprint import PERCENTILES, fingerprint
from kidneyseg.errors import InputError


@pytest.fixture
def cohort(tmp_path):
    rng = np.random.default_rng(0)
    cases, scans, masks = [], [], []
    for n, (shape, zoom) in enumerate([((8, 9, 10), 1.0), ((12, 9, 7), 2.0)]):
        scan = rng.normal(0, 300, shape).round().astype(np.int16)
        scan[0] = -2000  # below the scale: air
        mask = np.zeros(shape, np.uint8)
        mask[2:5, 2:5, 2:5] = 1
        if n:
            mask[3, 3, 3] = mask[7, 7, 5] = 2
        affine = np.array([[0, 0, -zoom, 0], [0, -zoom, 0, 0], [-3, 0, 0, 0], [0, 0, 0, 1.0]])
        for what, data in (("", scan), ("_seg", mask)):
            nib.save(nib.Nifti1Image(data, affine), tmp_path / f"c{n}{what}.nii.gz")
        cases.append(Case(f"c{n}", tmp_path / f"c{n}.nii.gz", tmp_path / f"c{n}_seg.nii.gz"))
        scans.append(scan)
        masks.append(mask)
    return cases, scans, masks


def _expected(values):
    values = values.clip(-1024, 3071)
    return {
        "mean": values.mean(),
        "sd": values.std(),
        **{f"p{q:g}": np.percentile(values, q, method="inverted_cdf") for q in PERCENTILES},
    }


def test_cases_and_pooled_intensities_equal_numpy(cohort):
    cases, scans, masks = cohort
    found = json.loads(json.dumps(fingerprint(cases, workers=2)))
    for row, scan, mask in zip(found["cases"], scans, masks):
        assert row["hu"]["body"] == pytest.approx(_expected(scan[scan > -500]))
        assert row["hu"]["kidney"] == pytest.approx(_expected(scan[mask > 0]))
        assert row["shape"] == list(scan.shape) and row["orientation"] == "IPL"
    pooled = np.concatenate([scan[mask > 0] for scan, mask in zip(scans, masks)])
    assert found["summary"]["hu"]["kidney"] == pytest.approx(_expected(pooled))
    assert found["cases"][1]["labels"] == {
        "1": {"ml": pytest.approx(26 * 12 / 1000), "components": 1},
        "2": {"ml": pytest.approx(2 * 12 / 1000), "components": 2},
    }


def test_summary(cohort):
    summary = fingerprint(cohort[0])["summary"]
    assert summary["cases"] == 2 and summary["orientations"] == {"IPL": 2}
    assert summary["spacing_mm"] == {"min": [3, 1, 1], "median": [3, 1.5, 1.5], "max": [3, 2, 2]}
    assert summary["extent_mm"]["max"] == [36, 18, 14]
    assert summary["labels"][2]["cases"] == 1 and summary["labels"][2]["components"] == 2


def test_scans_without_masks_still_have_a_fingerprint(cohort):
    found = fingerprint([Case("c", cohort[0][0].image, None)])
    assert found["summary"]["labels"] == {} and list(found["summary"]["hu"]) == ["body"]


def test_a_mask_of_another_scan_is_refused(cohort):
    first, second = cohort[0]
    with pytest.raises(InputError, match="shape"):
        fingerprint([Case("c", first.image, second.label)])
