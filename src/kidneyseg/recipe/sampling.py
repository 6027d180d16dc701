"""Region of the scan and sampling grid of a stage. Axis order is (z, y, x), lengths are mm."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from kidneyseg.recipe.base import RecipePart, Size2, Size3, Triple


class Region(RecipePart):
    """The part of the scan that a stage segments: the whole scan, or the ROIs from an earlier stage (``of``).

    If the mask of the earlier stage is empty there is no ROI, and the mask of this stage is empty too.

    of: name of the earlier stage whose mask defines the ROIs; None: the whole scan.
    crop: how the mask of the earlier stage becomes ROIs.
        extents: per axis, the coordinates where the mask has any voxel are split wherever neighbours are more than
            ``gap`` apart (the ROIs of the CCF BDCI 2022 third-prize solution);
        kidneys: one box around each 26-connected component of the mask, so one kidney at a time;
        box: one box around the whole mask;
        slices: from the first to the last axial slice of the mask, at the scan's full width;
        none: the whole scan.
    gap: with ``crop: extents``: the mask is split where voxels are further apart than this number of voxels.
    margin: voxels added to every side of a box; with ``crop: slices`` only along z.
    least: minimum size of a box along each axis, in voxels, as far as the scan is that large; with ``crop: slices``
        only along z.
    voxels: grid in which ``gap``, ``margin`` and ``least`` are counted: that of the earlier stage or of the scan.
    masked: set the image outside the earlier stage's mask to air (0) before the network.
    confined: remove the stage's foreground outside the earlier stage's mask, before its components are cleaned.
    grow: dilate the earlier stage's mask by this many mm before masking or confining. Training uses the true mask,
        whose exact contour would leak the answer; predicted contours are off by a few voxels of the earlier stage's
        grid. A dilation of about that width hides the difference.
    body: crop the black border around the patient first; only for a stage without ``of``.
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
    body: bool = True

    @model_validator(mode="after")
    def _fitting(self) -> Region:
        if self.of is None and (self.masked or self.confined):
            raise ValueError("masked and confined need the mask of an earlier stage: name it in `of`")
        if self.grow and not (self.masked or self.confined):
            raise ValueError("grow dilates the mask for masked and confined: set one of them, or leave grow out")
        where, unused = f"with crop: {self.crop}", ["gap", "least", "margin", "voxels"]
        if self.of is None:
            where, unused = "without `of`", ["crop", *unused]
        elif self.crop != "none":
            unused = [] if self.crop == "extents" else ["gap"]
        given = [key for key in unused if getattr(self, key) != type(self).model_fields[key].default]
        if given:
            raise ValueError(f"{', '.join(given)} of no effect {where}: leave out")
        if self.of is not None and self.crop == "none" and not (self.masked or self.confined):
            raise ValueError("crop: none uses the earlier stage only when masked or confined: set one, or remove `of`")
        return self


class VolumeSampling(RecipePart):
    """A 3-D stage that resamples the region to a voxel spacing and segments it in patches.

    spacing: voxel spacing after resampling, mm.
    patch: size of a patch, voxels.
    stride: distance from one training patch to the next, voxels.
    """

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
        """Spatial shape of the network's input."""
        return self.patch


class WholeSampling(RecipePart):
    """A 3-D stage that segments each region as a whole, resized to a fixed shape whatever its size in mm.

    shape: size to which the region is resized, voxels.
    """

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
    """A 3-D stage that segments slabs of consecutive axial slices, resized in plane.

    A region with fewer slices than a slab is padded with air at its end.

    slices: axial slices in a slab.
    size: in-plane size (y, x) to which slices are resized, pixels.
    stride: slices from one training slab to the next; in inference ``inference.overlap`` sets it.
    slice_spacing: mm between slices; None keeps the scan's spacing.
    near: training only: leave out slices that are more than this many slices from any target, unless too few slices
        remain to fill a slab. None keeps all.
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
    """A 2-D stage that segments every axial slice of the region, resized in plane.

    size: in-plane size (y, x) to which slices are resized, pixels.
    stack: number of neighbouring slices in the network's input channels; odd. The network segments the middle one.
        Beyond the ends of the region the last slice is repeated.
    slice_spacing: mm between slices; None keeps the scan's spacing.
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
    """Name the kind of sampling by the key that only this kind has; without such a key it is VolumeSampling."""
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
