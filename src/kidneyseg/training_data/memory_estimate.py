"""Estimate of the memory that the preparation of a case needs, from the header of its scan."""

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
# Per voxel of the scan, with a margin: two int16 scans of 512 x 512 x 800 at a time take 3.3 GiB in all.
VOXEL_BYTES = 10
HELD_BYTES = 6  # of these, for arrays that stay in memory: scan, mask, and mask of an earlier stage while it is made
SEEN_BYTES = 5  # per voxel of a network's input grid: image, labels, classes, and the padded copies


def preparing_bytes(case: Case, recipe: Recipe, unknown: int) -> int:
    """Estimate the bytes that preparing ``case`` needs in its own process.

    The input grid of a stage may have more voxels than the scan, for example slices every 1 mm of a scan with 5 mm. It
    is computed for the whole scan, because the regions of the stage are not known yet.

    Args:
        case: the case.
        recipe: the recipe.
        unknown: result if the header cannot be read.
    """
    try:
        image = nib.load(case.image)
        if not isinstance(image, SpatialImage):
            return unknown
        axes = np.argsort(-nib.io_orientation(image.affine)[:, 0])  # axes of the file that are z, y, x
        shape, zooms = np.array(image.shape)[axes], np.array(image.header.get_zooms(), float)[axes]
        grid, spacing = Grid(per_axis(shape.tolist())), per_axis(zooms.tolist())
        seen = max(math.prod(input_grid(grid, spacing, stage.sampling).shape) for stage in recipe.stages)
        reading = 2 * image.get_data_dtype().itemsize + 2  # float files are compared with their rounded copy
    except Exception:  # the worker that reads the file reports what is wrong with it
        return unknown
    return WORKER_BYTES + int(
        max(max(VOXEL_BYTES, reading) * np.prod(shape), HELD_BYTES * np.prod(shape) + SEEN_BYTES * seen)
    )
