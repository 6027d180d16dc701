"""What the files of scans and masks are called."""

from __future__ import annotations

from pathlib import Path

NIFTI_SUFFIXES = (".nii.gz", ".nii")
ITK_SUFFIXES = (".mha", ".mhd", ".nrrd", ".nhdr")
MASK_ENDINGS = ("_seg", "_mask", "_label", "-label")  # of the stem, where a mask lies beside its scan


def stem(path: Path) -> str | None:
    """File name without its image suffix; None when it is no image file, or a hidden one."""
    for suffix in NIFTI_SUFFIXES + ITK_SUFFIXES:
        if path.name.lower().endswith(suffix) and not path.name.startswith("."):
            return path.name[: -len(suffix)]
    return None
