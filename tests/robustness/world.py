"""The undamaged files: a small cohort, what the commands make of it, and the same scan in every format."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import SimpleITK as sitk
from bad_inputs import CASES, LABELS, SPACING, save_case
from cascade_doubles import make_hu, save_scan
from runner import Runner

RECIPE = """
name: tiny
stages:
  - name: coarse
    sampling: {spacing: [3.22, 1.62, 1.62], patch: [16, 32, 32], stride: [16, 32, 32]}
    targets: [[1, 2]]
    network: {name: unet3d, width: 4, depth: 2}
    loss: {name: dice_ce}
    train: {epochs: 2, batch_size: 2, checkpoint_every: 2, schedule: {warmup: 2}, sampler: {per_epoch: 8}}
    inference: {overlap: 0.25, batch_size: 2}
  - name: fine
    region: {of: coarse}
    sampling: {size: [32, 32]}
    targets: [[1], [2]]
    network: {name: unet2d, width: 4, depth: 2}
    loss: {name: hybrid_dice}
    train: {epochs: 2, batch_size: 4, checkpoint_every: 2, schedule: {warmup: 2}, sampler: {per_epoch: 16}}
    inference: {batch_size: 3}
"""
COMMANDS = (
    "prepare -c tiny.yaml --data data --work work --folds 2 --workers 1",
    "train -c tiny.yaml --work work --device CPU --stage coarse",  # one at a time: each compiles a network
    "train -c tiny.yaml --work work --device CPU --stage fine",
    "eval --work work --fold 0 --runtime openvino --no-oracle --device CPU",
    "export -m work/fold0 --format onnx --batch 2 -o package.zip",
    "simulate data simulated --spacing 6 4 4 --workers 1",
)


def build(root: Path, runner: Runner) -> None:
    """Fill ``root``: data/, masks/, scans/, tiny.yaml, and work/, package.zip and simulated/ as the commands make them.

    Raises AssertionError when an undamaged input is not accepted.
    """
    for case in CASES:
        save_case(root / "data" / case)
        save_scan(root / "masks" / f"{case}.nii.gz", LABELS, SPACING)
    save_formats(root / "scans")
    (root / "tiny.yaml").write_text(RECIPE)
    for line in COMMANDS:
        outcome = runner.run(line.split(), root)
        assert outcome.status == 0, f"{line}: {outcome}"
    for leftover in ("stdout", "stderr"):
        (root / leftover).unlink()
    shutil.rmtree(root / "tmp")


def save_formats(folder: Path) -> None:
    """ct.nii.gz, ct.nii, ct.nrrd, ct.mha and, to be done whatever happens to them, other.nii.gz."""
    packed = save_scan(folder / "ct.nii.gz", make_hu(LABELS), SPACING)
    plain = packed.read_bytes() if packed.read_bytes()[:2] != b"\x1f\x8b" else gzip.decompress(packed.read_bytes())
    packed.write_bytes(gzip.compress(plain, mtime=0))
    (folder / "ct.nii").write_bytes(plain)
    image = sitk.ReadImage(str(packed))
    for key in image.GetMetaDataKeys():  # NIfTI's own, which other formats would warn about
        image.EraseMetaData(key)
    for name in ("ct.nrrd", "ct.mha"):
        sitk.WriteImage(image, str(folder / name), useCompression=True)
    save_scan(folder / "other.nii.gz", make_hu(LABELS[:, ::-1].copy()), SPACING)
