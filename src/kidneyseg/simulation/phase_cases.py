"""Real cases changed to another contrast phase."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np

from kidneyseg.cohort.case import Case
from kidneyseg.simulation.simulated_cohort import write_case
from kidneyseg.volume.contrast_phase import change_phase, draw_phase
from kidneyseg.volume.nifti import read_image, read_mask


@dataclass(frozen=True)
class PhaseCase:
    """One case to make: a real scan with its mask, one of ``contrast_phase.NAMES``, and the folder to write."""

    name: str
    source: Case
    phase: str
    folder: Path
    seed: int


def phase_case(case: PhaseCase) -> None:
    """Change the phase of a scan and write it, in its own range of HU, with its mask. Skipped if the folder exists.

    Raises:
        InputError: scan or mask cannot be read, or have different grids.
    """
    if case.folder.exists():
        return
    scan, mask = read_image(case.source.image), read_mask(case.source.true_mask_path())
    mask.require_on(scan)
    rng = np.random.default_rng([case.seed, zlib.crc32(case.name.encode())])
    hu = change_phase(scan.array, mask.array > 0, draw_phase(case.phase, rng), rng)
    hu = np.rint(hu).clip(scan.array.min(), scan.array.max()).astype(np.int16)
    write_case(case.folder, hu, mask.array, scan.affine, nib.aff2axcodes(scan.header.get_best_affine()))
