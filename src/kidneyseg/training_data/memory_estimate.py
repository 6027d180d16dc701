"""How much memory preparing a case may take, told from the header of its scan."""

from __future__ import annotations

import math

import nibabel as nib
import numpy as np
from nibabel.spatialimages import SpatialImage

from kidneyseg.cohort.case import Case
from kidneyseg.preprocessing.regions import input_grid
from kidneyseg.recipe import Recipe
from kidneyseg.volume.axes import per_axis
from kidneyseg.volume.grid import Grid

WORKER_BYTES = 500 << 20  # Python with MindSpore, before any scan
# Per voxel of the scan, with room to spare: two int16 scans of 512 x 512 x 800 at a time take 3.3 GiB in all.
VOXEL_BYTES = 10
HELD_BYTES = 6  # of these, the scan, its mask, and an earlier stage's mask while it is made: what stays beside the rest
SEEN_BYTES = 5  # per voxel of a grid that a network sees: image, labels, classes, and both padded


def preparing_bytes(case: Case, recipe: Recipe, unknown: int) -> int:
    """Bytes that preparing ``case`` may take in a process of its own; ``unknown`` when its header cannot be read.

    A grid that a stage sees may have more voxels than the scan, as slices at 1 mm of a scan at 5 mm have. It is taken
    to be that of the whole scan: where the stage's regions lie is not known yet.
    """
    try:
        image = nib.load(case.image)
        if not isinstance(image, SpatialImage):
            return unknown
        axes = np.argsort(-nib.io_orientation(image.affine)[:, 0])  # those of the file that are z, y, x
        shape, zooms = np.array(image.shape)[axes], np.array(image.header.get_zooms(), float)[axes]
        grid, spacing = Grid(per_axis(shape.tolist())), per_axis(zooms.tolist())
        seen = max(math.prod(input_grid(grid, spacing, stage.sampling).shape) for stage in recipe.stages)
        reading = 2 * image.get_data_dtype().itemsize + 2  # float files are compared with their rounded copy
    except Exception:  # whatever is wrong with the file, the worker that reads it says so
        return unknown
    return WORKER_BYTES + int(
        max(max(VOXEL_BYTES, reading) * np.prod(shape), HELD_BYTES * np.prod(shape) + SEEN_BYTES * seen)
    )
