"""Synthetic data sets on disk, with the layout and orientation of KiTS19."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.orientations import apply_orientation, axcodes2ornt, inv_ornt_aff, ornt_transform

from kidneyseg.errors import InputError
from kidneyseg.simulation.abdomen import CYST, KIDNEY, resample_labels, simulate
from kidneyseg.system.config_files import read_text
from kidneyseg.system.files import folder_beside, write_text
from kidneyseg.volume.axes import PerAxis
from kidneyseg.volume.nifti import CANONICAL, read_mask, save_nifti

KITS = ("I", "P", "L")  # KiTS arrays are (z, y, x) with z growing towards the feet


@dataclass(frozen=True)
class SimulatedCase:
    """One SimKiTS case to make: a mask, the settings, and the folder to write."""

    name: str
    label: Path
    folder: Path
    spacing: PerAxis[float] | None
    merge_cysts: bool
    seed: int


def find_labels(folder: str | Path, names: Sequence[str] | None = None) -> dict[str, Path]:
    """Find case -> segmentation file in ``folder``, sorted; only ``names`` if given. Raises InputError."""
    folder = Path(folder)
    found = {path.parent.name: path for path in sorted(folder.glob("*/segmentation.nii.gz"))}
    if not found:
        raise InputError(
            folder,
            expected="KiTS masks, case_00000/segmentation.nii.gz",
            found="none",
            remedy="Give the folder that contains the case folders",
        )
    missing = sorted(set(names or ()) - set(found))
    if missing:
        raise InputError(
            folder,
            expected="the requested cases",
            found=f"no {', '.join(missing)}",
            remedy="Check --cases against the folder",
        )
    return {name: path for name, path in found.items() if not names or name in names}


def simulate_case(case: SimulatedCase) -> None:
    """Simulate one scan around its mask and write both. Skipped if the folder exists. Raises InputError."""
    if case.folder.exists():
        return
    mask = read_mask(case.label)
    label = mask.array[::-1]  # the order of KiTS, so that the voxels do not depend on the orientation of the file
    if label.max() > CYST or not label.any():
        found = f"labels {np.unique(label).tolist()}"
        raise InputError(
            case.label,
            expected="a mask of 1 kidney, 2 tumour, 3 cyst",
            found=found,
            remedy="Leave this case out, or map its labels to these",
        )
    if case.merge_cysts:
        label = np.where(label == CYST, np.uint8(KIDNEY), label)
    spacing = mask.spacing
    if case.spacing:
        label, spacing = resample_labels(label, spacing, case.spacing)
    hu = simulate(label, spacing, [case.seed, zlib.crc32(case.name.encode())])
    step = np.divide(spacing, mask.spacing)
    affine = mask.affine @ np.vstack([np.column_stack([np.diag(step), (step - 1) / 2]), [0, 0, 0, 1]])
    write_case(case.folder, hu[::-1], label[::-1], affine)


def write_case(
    folder: Path, hu: np.ndarray, label: np.ndarray, affine: np.ndarray, codes: Sequence[str] = KITS
) -> None:
    """Write ``imaging.nii.gz`` and ``segmentation.nii.gz``; the folder is written atomically.

    Args:
        folder: folder of the case.
        hu, label: (z, y, x) in canonical orientation.
        affine: (4, 4), index (z, y, x) to mm (Right, Anterior, Superior).
        codes: direction in which each file axis grows, nibabel's axis codes.
    """
    transform = ornt_transform(CANONICAL, axcodes2ornt(codes))
    affine = affine @ inv_ornt_aff(transform, hu.shape)
    with folder_beside(folder) as partial:
        for name, array in (("imaging", hu), ("segmentation", label)):
            save_nifti(partial / f"{name}.nii.gz", nib.Nifti1Image(apply_orientation(array, transform), affine))
        os.replace(partial, folder)


def claim_folder(folder: Path, settings: dict) -> None:
    """Create ``folder`` and record ``settings`` in it, so that an interrupted run can be completed.

    Raises:
        InputError: the folder contains cases made with other settings, or other files.
    """
    note = folder / "simulation.json"
    text = json.dumps(settings, indent=1) + "\n"
    if note.exists():
        fault = {
            "expected": f"no cohort, or one made with {json.dumps(settings)}",
            "remedy": "Give another folder, or delete this one",
        }
        noted = read_text(note, **fault)
        if noted != text:
            raise InputError(folder, found=f"one made with {' '.join(noted.split())[:200]}", **fault)
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(
            folder, expected="a new or empty folder", found="files of other origin", remedy="Give another folder"
        )
    folder.mkdir(parents=True, exist_ok=True)
    write_text(note, text)
