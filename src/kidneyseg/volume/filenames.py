"""What the files of scans and masks are called."""

from __future__ import annotations

from pathlib import Path

NIFTI_SUFFIXES = (".nii.gz", ".nii")
ITK_SUFFIXES = (".mha", ".mhd", ".nrrd", ".nhdr")
MASK_ENDINGS = ("_seg", "_mask", "_label", "-label", ".seg")  # of the stem, where a mask lies beside its scan
CHANNEL = "_0000"  # with which nnU-Net ends the names of scans
# In a case folder of KiTS, in any letter case. KiTS21 has three masks of each case: the majority of its annotators is
# the one to train on and to score with.
KITS_IMAGE = "imaging"
KITS_MASKS = ("segmentation", "aggregated_maj_seg", "aggregated_and_seg", "aggregated_or_seg")


def stem(path: Path) -> str | None:
    """File name without its image suffix; None when it is no image file, or a hidden one."""
    for suffix in NIFTI_SUFFIXES + ITK_SUFFIXES:
        if path.name.lower().endswith(suffix) and not path.name.startswith("."):
            return path.name[: -len(suffix)]
    return None


def kits_masks(folder: Path) -> list[Path]:
    """The mask in a case folder of KiTS; several if it is there in several formats, none if there is none."""
    files = [(name.lower(), path) for path in sorted(folder.iterdir()) if (name := stem(path)) and path.is_file()]
    found = ([path for name, path in files if name == wanted] for wanted in KITS_MASKS)
    return next(filter(None, found), [])
