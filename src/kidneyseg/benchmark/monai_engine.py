"""The same cascade implemented with PyTorch and MONAI, for comparison in the benchmark.

Reading, orientation, resampling, sliding windows and writing are done by MONAI; networks are PyTorch modules with
exactly the same weights. Regions and clean-up follow the recipe, with the code of this project.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from monai.data import MetaTensor
from monai.inferers import sliding_window_inference
from monai.transforms import LoadImage, Orientation, Resize, SaveImage

from kidneyseg.benchmark.stopwatch import Stopwatch
from kidneyseg.benchmark.torch_setup import set_up_torch
from kidneyseg.benchmark.torch_weights import load_twin
from kidneyseg.benchmark.whole_case import network_part
from kidneyseg.preprocessing.regions import StageMask
from kidneyseg.preprocessing.stage_view import StageView
from kidneyseg.recipe import Recipe, Stage
from kidneyseg.volume.axes import per_axis
from kidneyseg.volume.components import clean
from kidneyseg.volume.grid import Grid
from kidneyseg.volume.nifti import Scan

CANONICAL = "SPL"  # directions in which z, y and x grow


class MonaiEngine:
    """PyTorch with as many threads as the project's kernels, and with all instructions of the CPU.

    Args:
        recipe: the recipe.
        weights: folder of ``torch_weights.write_weights``.
        channels_last: memory layout of the networks.
        bfloat16: whether PyTorch's autocast to bfloat16 is used.
    """

    def __init__(self, recipe: Recipe, weights: Path, channels_last: bool, bfloat16: bool = False) -> None:
        set_up_torch()
        self.recipe, self.channels_last, self.bfloat16 = recipe, channels_last, bfloat16
        self.networks = {
            stage.name: load_twin(stage, weights).eval().to(memory_format=self._layout(stage))
            for stage in recipe.stages
        }
        self.image: MetaTensor  # read last

    def read(self, image: Path) -> Scan:
        source = LoadImage(ensure_channel_first=True)(image)
        self.codes = "".join(nib.aff2axcodes(source.affine.numpy()))
        self.image = Orientation(axcodes=CANONICAL)(source)
        affine = self.image.affine.numpy()
        spacing = per_axis(float(length) for length in np.linalg.norm(affine[:3, :3], axis=0))
        return Scan(self.image[0].as_tensor().numpy(), spacing, image, affine, nib.Nifti1Header())

    @torch.no_grad()
    def stage_mask(self, view: StageView, watch: Stopwatch) -> StageMask:
        stage, mask = view.stage, np.zeros(view.mask_grid.shape, np.uint8)
        labels = torch.tensor(stage.class_labels, dtype=torch.uint8)
        for region in view.regions:
            image = self._input(stage, region.input_grid)
            with watch.part(network_part(stage)):
                probabilities = self._probabilities(stage, image)
            own = region.mask_grid
            found = labels[_resize(probabilities, own.shape).argmax(0)].numpy()
            box = mask[own.cover([slice(0, n) for n in own.shape], view.mask_grid)]
            np.copyto(box, found, where=found > 0)
        return StageMask(clean(mask, stage.components, view.mask_voxel_ml), view.mask_grid)

    def write(self, out: Path, mask: np.ndarray, scan: Scan) -> None:
        labels = MetaTensor(torch.from_numpy(mask)[None], self.image.affine, self.image.meta)
        writer = SaveImage(output_dtype=np.uint8, resample=False, print_log=False)
        writer(Orientation(axcodes=self.codes)(labels), filename=str(out).removesuffix(".nii.gz"))

    def _input(self, stage: Stage, grid: Grid) -> torch.Tensor:
        """Return the network's input on ``grid``, (1, 1, z, y, x): clipped, resampled, normalised."""
        own = Grid(per_axis(self.image.shape[1:]))
        z, y, x = grid.cover([slice(0, n) for n in grid.shape], own)
        low, high = stage.intensity.clip
        hu = _resize(self.image[:, z, y, x].as_tensor().clamp(low, high), grid.shape)
        return (((hu - low) * (255 / (high - low)) - stage.intensity.mean) / stage.intensity.std)[None]

    def _probabilities(self, stage: Stage, image: torch.Tensor) -> torch.Tensor:
        """Compute the probabilities (classes, z, y, x) of ``image`` (1, 1, z, y, x)."""
        network, layout, size = self.networks[stage.name], self._layout(stage), stage.inference.batch_size

        def answer(batch: torch.Tensor) -> torch.Tensor:
            with torch.autocast("cpu", torch.bfloat16, enabled=self.bfloat16):
                return network(batch.contiguous(memory_format=layout)).float().softmax(1)

        if stage.dims == 2:
            slices = image[0].swapaxes(0, 1)
            return torch.cat([answer(batch) for batch in slices.split(size)]).swapaxes(0, 1)
        air = -stage.intensity.mean / stage.intensity.std
        return sliding_window_inference(
            image, stage.window, size, answer, stage.inference.overlap, mode="gaussian", sigma_scale=0.125, cval=air
        )[0]

    def _layout(self, stage: Stage) -> torch.memory_format:
        if not self.channels_last:
            return torch.contiguous_format
        return torch.channels_last if stage.dims == 2 else torch.channels_last_3d


def _resize(values: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    """Resize (channels, z, y, x) to ``shape`` voxels with the same extent; unchanged if it has this shape."""
    if tuple(values.shape[1:]) == tuple(shape):
        return values
    return Resize(shape, mode="trilinear", align_corners=False)(values).as_tensor()
