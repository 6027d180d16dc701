"""Where a stage looks, and on which grid. Axis order is (z, y, x), lengths are mm."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from kidneyseg.recipe.base import RecipePart, Size2, Size3, Triple


class Region(RecipePart):
    """What part of the scan a stage sees: all of it, or what an earlier stage (``of``) found.

    Where the earlier stage found nothing there is no region, and this stage finds nothing.

    crop: how the mask of the earlier stage becomes regions.
        extents: per axis, the coordinates where the mask has any voxel are split wherever neighbours are more than
            ``gap`` apart (the ROIs of the CCF BDCI 2022 third-prize solution);
        kidneys: one box around each 26-connected component of the mask, so one kidney at a time;
        box: one box around the whole mask;
        slices: from its first to its last axial slice, at the scan's full width;
        none: the whole scan.
    margin: voxels added to a box on every side; least: voxels that every side of a box has at least (as far as the
        scan has them); of ``slices`` both concern z alone.
    voxels: whose voxels ``gap``, ``margin`` and ``least`` count: the earlier stage's grid or the scan itself.
    masked: the image outside the earlier stage's mask becomes air (0) before the network sees it.
    confined: what the stage finds outside the earlier stage's mask is dropped, before its components are cleaned.
    grow: mm by which that mask is grown for both. Training masks with true contours, which give away what hides behind
        them; the earlier stage's own are off by voxels of its grid, and a rim of about that width hides the difference.
    negatives: training only: for each region, this many more of its size at random places of the body. True regions
        alone never show a stage what an earlier stage finds falsely, such as bowel full of contrast.
    body: crop the black border around the patient first (only where no earlier stage is named).
    """

    of: str | None = None
    crop: Literal["extents", "kidneys", "box", "slices", "none"] = "extents"
    gap: int = Field(15, ge=1)
    margin: int = Field(3, ge=0)
    least: int = Field(0, ge=0)
    voxels: Literal["stage", "scan"] = "stage"
    masked: bool = False
    confined: bool = False
    grow: float = Field(0.0, ge=0)
    negatives: int = Field(0, ge=0)
    body: bool = True

    @model_validator(mode="after")
    def _fitting(self) -> Region:
        if self.of is None and (self.masked or self.confined):
            raise ValueError("masked and confined need the mask of an earlier stage: name it in `of`")
        if self.grow and not (self.masked or self.confined):
            raise ValueError("grow is of the mask of masked and confined: set one of them, or leave it out")
        where, unused = f"with crop: {self.crop}", ["gap", "least", "margin", "voxels", "negatives"]
        if self.of is None:
            where, unused = "without `of`", ["crop", *unused]
        elif self.crop != "none":
            unused = [] if self.crop == "extents" else ["gap"]
        given = [key for key in unused if getattr(self, key) != type(self).model_fields[key].default]
        if given:
            raise ValueError(f"{', '.join(given)} of no effect {where}: leave out")
        if self.of is not None and self.crop == "none" and not (self.masked or self.confined):
            raise ValueError("crop: none makes use of the earlier stage only when masked or confined")
        return self


class VolumeSampling(RecipePart):
    """A 3-D stage: resample to ``spacing`` mm, cut patches of ``patch`` voxels at every ``stride`` voxels."""

    spacing: Triple = (3.22, 1.62, 1.62)
    patch: Size3 = (80, 160, 160)
    stride: Size3 = (48, 44, 44)

    @model_validator(mode="after")
    def _covering(self) -> VolumeSampling:
        fits = all(0 < s <= p for s, p in zip(self.stride, self.patch))
        if min(self.spacing) <= 0 or min(self.patch) < 1 or not fits:
            raise ValueError("spacing and patch must be positive, and 0 < stride <= patch on every axis")
        return self

    @property
    def window(self) -> Size3:
        """Spatial shape of what the network sees."""
        return self.patch


class WholeSampling(RecipePart):
    """A 3-D stage that sees each region at once, resized to ``shape`` voxels whatever its size in mm."""

    shape: Size3

    @model_validator(mode="after")
    def _positive(self) -> WholeSampling:
        if min(self.shape) < 1:
            raise ValueError("shape must be positive")
        return self

    @property
    def window(self) -> Size3:
        return self.shape


class SlabSampling(RecipePart):
    """A 3-D stage that sees ``slices`` consecutive axial slices, resized to ``size`` (y, x) in plane.

    A region with fewer slices is padded with air at its end. slice_spacing: mm between slices; None keeps the scan's
    own. stride: slices from one training slab to the next; in inference ``inference.overlap`` says it.
    near: training only: slices further than this many from any target are left out, except where there are too few
    others to fill a slab.
    """

    slices: int = Field(ge=1)
    size: Size2
    stride: int = Field(ge=1)
    slice_spacing: float | None = Field(None, gt=0)
    near: int | None = Field(None, ge=0)

    @model_validator(mode="after")
    def _covering(self) -> SlabSampling:
        if min(self.size) < 1 or self.stride > self.slices:
            raise ValueError("size must be positive, and stride <= slices")
        return self

    @property
    def window(self) -> Size3:
        return (self.slices, *self.size)


class SliceSampling(RecipePart):
    """A 2-D stage: every axial slice of the region, resized to ``size`` (y, x).

    stack: how many neighbouring slices the network sees as its channels, to segment the middle one; odd. Beyond the
    region's ends the last slice is repeated. slice_spacing: mm between slices; None keeps the scan's own.
    """

    size: Size2 = (256, 256)
    stack: int = Field(1, ge=1)
    slice_spacing: float | None = Field(None, gt=0)

    @model_validator(mode="after")
    def _positive(self) -> SliceSampling:
        if min(self.size) < 1 or self.stack % 2 == 0:
            raise ValueError("size must be positive, and stack odd")
        return self

    @property
    def window(self) -> Size2:
        return self.size


def _kind(value: Any) -> str:
    """Each kind of sampling has a key that no other has; what has none of them, or no keys, is meant as volumes."""
    keys = value if isinstance(value, dict) else getattr(type(value), "model_fields", ())
    return next(
        (
            name
            for key, name in (("shape", "WholeSampling"), ("slices", "SlabSampling"), ("size", "SliceSampling"))
            if key in keys
        ),
        "VolumeSampling",
    )


SAMPLINGS = {
    "VolumeSampling": VolumeSampling,
    "WholeSampling": WholeSampling,
    "SlabSampling": SlabSampling,
    "SliceSampling": SliceSampling,
}
Sampling = Annotated[
    Annotated[VolumeSampling, Tag("VolumeSampling")]
    | Annotated[WholeSampling, Tag("WholeSampling")]
    | Annotated[SlabSampling, Tag("SlabSampling")]
    | Annotated[SliceSampling, Tag("SliceSampling")],
    Discriminator(_kind),
]
