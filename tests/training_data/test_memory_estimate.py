"""The estimate that preparation shares memory out by, against what cutting samples takes."""

import tracemalloc

import nibabel as nib
import numpy as np
import pytest
from views import true_view

from kidneyseg.cohort.case import Case
from kidneyseg.recipe import parse_recipe
from kidneyseg.training_data.memory_estimate import WORKER_BYTES, preparing_bytes
from kidneyseg.training_data.samples import stage_samples
from kidneyseg.volume.nifti import read_image, read_mask

SAMPLINGS = {
    "slabs": {"slices": 64, "size": [128, 128], "stride": 32, "slice_spacing": 0.5},
    "slices": {"size": [128, 128], "slice_spacing": 0.5},
    "volumes": {"spacing": [5, 1.6, 1.6], "patch": [16, 64, 64], "stride": [16, 64, 64]},
    "whole": {"shape": [64, 128, 128]},
}


def recipe(sampling):
    common = {"network": {"name": "unet3d", "depth": 2}, "loss": {"name": "dice_ce"}}
    return parse_recipe(
        {
            "name": "two",
            "result": ["kidney", "fine"],
            "stages": [
                {
                    "name": "kidney",
                    "sampling": SAMPLINGS["whole"],
                    "targets": [[1]],
                    "region": {"body": False},
                    **common,
                },
                {
                    "name": "fine",
                    "sampling": sampling,
                    "targets": [[1]],
                    "region": {"of": "kidney", "crop": "none", "masked": True},
                    **common,
                },
            ],
        }
    )


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    """40 slices of 128 x 128 at 5 mm, stored with axes x, z, y."""
    folder = tmp_path_factory.mktemp("case")
    affine = np.array([[0.8, 0, 0, 0], [0, 0, 0.8, 0], [0, 5.0, 0, 0], [0, 0, 0, 1]])
    label = np.zeros((128, 40, 128), np.uint8)
    label[40:80, 10:30, 40:80] = 1
    nib.save(nib.Nifti1Image(np.int16(label) * 160 - 60, affine), folder / "ct.nii.gz")
    nib.save(nib.Nifti1Image(label, affine), folder / "mask.nii.gz")
    return Case("case", folder / "ct.nii.gz", folder / "mask.nii.gz")


@pytest.mark.parametrize("sampling", SAMPLINGS.values(), ids=SAMPLINGS)
def test_cutting_samples_stays_within_the_estimate(case, sampling, monkeypatch):
    monkeypatch.setattr("kidneyseg.preprocessing.image.PIECE", 1 << 14)  # for the size of this scan
    made = recipe(sampling)
    estimate = preparing_bytes(case, made, unknown=0) - WORKER_BYTES
    tracemalloc.start()
    scan, label = read_image(case.image), read_mask(case.label).array
    tracemalloc.reset_peak()
    for stage in made.stages:
        for _ in stage_samples(true_view(scan, label, made, stage), label)[1]:
            pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 0.2 * estimate < peak < estimate


def test_it_grows_with_the_finest_slices_alone(case):
    sizes = [preparing_bytes(case, recipe({"size": [128, 128], "slice_spacing": mm}), 0) for mm in (0.25, 0.5, 5, 10)]
    assert sizes[0] - sizes[1] == pytest.approx(sizes[1] - WORKER_BYTES - 6 * 40 * 128 * 128, rel=0.01)
    assert sizes[2] == sizes[3]


def test_a_header_that_cannot_be_read_is_unknown(tmp_path):
    (tmp_path / "ct.nii.gz").write_bytes(b"broken")
    assert preparing_bytes(Case("x", tmp_path / "ct.nii.gz", None), recipe(SAMPLINGS["whole"]), unknown=77) == 77
