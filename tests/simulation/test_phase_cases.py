from __future__ import annotations

import nibabel as nib
import numpy as np
from cascade_doubles import save_scan

from kidneyseg import cli
from kidneyseg.volume.nifti import read_image, read_mask


def test_a_cohort_without_contrast(tmp_path):
    rng = np.random.default_rng(0)
    hu, label = rng.normal(-100, 5, (6, 40, 40)).round().astype(np.int16), np.zeros((6, 40, 40), np.uint8)
    label[1:5, 10:30, 10:30] = 1
    hu[label > 0] = 170
    for name in ("a", "b"):
        save_scan(tmp_path / "in" / name / "imaging.nii.gz", hu, (3, 1, 1))
        save_scan(tmp_path / "in" / name / "segmentation.nii.gz", label, (3, 1, 1))
    command = ["simulate", "--phase", "unenhanced", str(tmp_path / "in"), str(tmp_path / "out"), "--workers", "1"]
    assert cli.main(command) == 0
    made = {name: read_image(tmp_path / "out" / f"{name}_unenhanced" / "imaging.nii.gz") for name in ("a", "b")}
    before = read_image(tmp_path / "in" / "a" / "imaging.nii.gz")
    mask = read_mask(tmp_path / "out" / "a_unenhanced" / "segmentation.nii.gz")
    np.testing.assert_array_equal(mask.array, read_mask(tmp_path / "in" / "a" / "segmentation.nii.gz").array)
    np.testing.assert_allclose(made["a"].affine, before.affine, atol=1e-5)
    codes = [nib.aff2axcodes(nib.load(path).affine) for path in (made["a"].path, before.path)]
    assert codes[0] == codes[1]
    assert 20 < made["a"].array[3, 14:26, 14:26].mean() < 55
    assert abs(made["a"].array[:, :6].mean() + 100) < 3
    assert not np.array_equal(made["a"].array, made["b"].array)  # each case has its own draw
    files = {path: path.read_bytes() for path in sorted((tmp_path / "out").rglob("*.nii.gz"))}
    assert cli.main(command) == 0
    assert all(path.read_bytes() == content for path, content in files.items())
