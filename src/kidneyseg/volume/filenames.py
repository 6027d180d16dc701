"""File names of scans and masks."""

from __future__ import annotations

from pathlib import Path

NIFTI_SUFFIXES = (".nii.gz", ".nii")
ITK_SUFFIXES = (".mha", ".mhd", ".nrrd", ".nhdr")
MASK_ENDINGS = ("_seg", "_mask", "_label", "-label", ".seg")  # of the stem of a mask in the same folder as its scan
CHANNEL = "_0000"  # which nnU-Net appends to the names of scans
# In a case folder of KiTS, upper or lower case. KiTS21 has three masks of each case; the majority vote of its
# annotators is used for training and scoring.
KITS_IMAGE = "imaging"
KITS_MASKS = ("segmentation", "aggregated_maj_seg", "aggregated_and_seg", "aggregated_or_seg")


def stem(path: Path) -> str | None:
    """Return the file name without its image suffix; None for hidden files and files that are not images."""
    for suffix in NIFTI_SUFFIXES + ITK_SUFFIXES:
        if path.name.lower().endswith(suffix) and not path.name.startswith("."):
            return path.name[: -len(suffix)]
    return None


def kits_masks(folder: Path) -> list[Path]:
    """Find the mask in a case folder of KiTS; several if it exists in several formats; empty if there is none."""
    files = [(name.lower(), path) for path in sorted(folder.iterdir()) if (name := stem(path)) and path.is_file()]
    found = ([path for name, path in files if name == wanted] for wanted in KITS_MASKS)
    return next(filter(None, found), [])
