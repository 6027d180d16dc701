"""The whole cascade on many scans, stage by stage, with files as input and output of the C++ program.

All steps around the networks are those of :mod:`kidneyseg.inference.cascade`, so the masks are the same as those of
``predict``. The program runs each stage once for all scans, which keeps the device busy.
"""

from __future__ import annotations

import json
import sys
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm import tqdm

from kidneyseg.cohort.case import Case
from kidneyseg.deploy.program import Program
from kidneyseg.deploy.tensors import MANIFEST, Recorder, Replay, Tensor, read_manifest, write_manifest
from kidneyseg.errors import InputError
from kidneyseg.export.package import Package
from kidneyseg.inference.cascade import result_mask, stage_mask
from kidneyseg.inference.stage import region_probabilities
from kidneyseg.preprocessing.regions import StageMask
from kidneyseg.preprocessing.stage_view import StageView, view_stage
from kidneyseg.recipe import Stage
from kidneyseg.system.config_files import parse_json
from kidneyseg.system.failures import explain
from kidneyseg.system.files import atomic
from kidneyseg.volume.grid import Grid, GridFacts
from kidneyseg.volume.nifti import Scan, read_image, write_mask

PREPROCESS = "Run with NEED_PREPROCESS y first"


@dataclass
class Deployment:
    """Segmentation with a package; all files are in the folder ``out``.

    Files: ``preprocess_Result/STAGE/CASE/NUMBER.bin``, inputs of the networks; ``result_Files/STAGE/CASE/NUMBER.bin``,
    their outputs; ``result_Files/STAGE/CASE.npz``, the mask of the stage; ``time_Result/STAGE.txt``;
    ``masks/CASE.nii.gz``. An error in one scan does not stop the others.

    Attributes:
        package: the recipe and its graphs.
        program: the C++ program.
        out: the folder.
        failures: case -> error.
        complete: whether the program computed all tensors.
    """

    package: Package
    program: Program
    out: Path
    failures: dict[str, InputError] = field(default_factory=dict)
    complete: bool = True

    def segment(self, cases: Sequence[Case], *, preprocess: bool = True) -> None:
        """Write the masks of ``cases``.

        Args:
            cases: the scans.
            preprocess: False: use the input tensors that an earlier run wrote for the same scans.

        Raises:
            InputError: a network could not be run at all, or there are no tensors of an earlier run.
        """
        for case in cases:
            self.mask_path(case).unlink(missing_ok=True)  # so that no mask of an earlier run remains
        for stage in self.package.recipe.stages:
            if preprocess:
                self._preprocess(stage, cases)
            self._infer(stage)
            self._postprocess(stage, cases)
        self._each(cases, "masks", self._finish)

    def mask_path(self, case: Case) -> Path:
        """Return the path of the mask of ``case``."""
        return self.out / "masks" / f"{case.name}.nii.gz"

    def _preprocess(self, stage: Stage, cases: Sequence[Case]) -> None:
        folder = self._tensors(stage)
        written: list[Tensor] = []

        def record(case: Case, scan: Scan) -> None:
            view = self._view(scan, stage, case)
            recorder = Recorder(folder, case.name, stage.classes, self.package.graphs[stage.name].input.dtype)
            for region in view.regions:
                deque(region_probabilities(view, region, recorder), maxlen=0)
            written.extend(recorder.tensors)

        self._each(cases, f"preprocess, {stage.name}", record)
        write_manifest(folder, written)

    def _infer(self, stage: Stage) -> None:
        graph, folder = self.package.graphs[stage.name], self._tensors(stage)
        read_manifest(folder, PREPROCESS)
        self.complete &= self.program.compute(
            graph.path,
            stage.inference.batch_size,
            folder / MANIFEST,
            self._results(stage),
            self.out / "time_Result" / f"{stage.name}.txt",
        )

    def _postprocess(self, stage: Stage, cases: Sequence[Case]) -> None:
        """Compute the stage's masks from the outputs of its network."""
        images = read_manifest(self._tensors(stage), PREPROCESS)
        answers = read_manifest(self._results(stage), "Run the inference again")

        def write(case: Case, scan: Scan) -> None:
            own = [image for image in images.values() if image.case == case.name]
            replay = Replay(own, self._results(stage), answers, self.package.graphs[stage.name].input.dtype)
            save_stage_mask(self._mask(stage.name, case), stage_mask(self._view(scan, stage, case), replay))

        self._each(cases, f"postprocess, {stage.name}", write)

    def _finish(self, case: Case, scan: Scan) -> None:
        recipe = self.package.recipe
        masks = {name: load_stage_mask(self._mask(name, case)) for name in recipe.result_stages}
        mask = result_mask(scan, recipe, masks)
        write_mask(self.mask_path(case), mask, scan)
        if not mask.any():
            tqdm.write(f"warning: {scan.path}: no kidney found, the mask is empty", file=sys.stderr)

    def _view(self, scan: Scan, stage: Stage, case: Case) -> StageView:
        of = stage.region.of
        previous = None if of is None else load_stage_mask(self._mask(of, case))
        return view_stage(scan, self.package.recipe, stage, previous)

    def _each(self, cases: Sequence[Case], title: str, work: Callable[[Case, Scan], None]) -> None:
        """Call ``work`` for every case that has not failed yet."""
        todo = [case for case in cases if case.name not in self.failures]
        for case in tqdm(todo, desc=title, unit="scan", disable=None):
            try:
                work(case, read_image(case.image))
            except Exception as error:
                self.failures[case.name] = explain(case.name, error)

    def _tensors(self, stage: Stage) -> Path:
        return self.out / "preprocess_Result" / stage.name

    def _results(self, stage: Stage) -> Path:
        return self.out / "result_Files" / stage.name

    def _mask(self, stage: str, case: Case) -> Path:
        return self.out / "result_Files" / stage / f"{case.name}.npz"


def save_stage_mask(path: Path, found: StageMask) -> None:
    """Write a stage's mask with its grid, compressed and atomically."""
    with atomic(path) as partial:
        np.savez_compressed(partial, mask=found.mask, grid=json.dumps(found.grid.to_dict()))


def load_stage_mask(path: Path) -> StageMask:
    """Read a file of :func:`save_stage_mask`."""
    with np.load(path) as data:
        return StageMask(data["mask"], Grid.from_dict(parse_json(str(data["grid"]), GridFacts)))
