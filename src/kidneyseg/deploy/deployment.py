"""The whole cascade on many scans, stage by stage: images to files, the networks in another program, masks.

What is around the networks is that of :mod:`kidneyseg.inference.cascade`, so the masks are those of `predict`. Each
stage runs on all scans at once, which keeps its device busy.
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
    """A package at work in the folder ``out``.

    Files: ``preprocess_Result/STAGE/CASE/NUMBER.bin``, what the networks see; ``result_Files/STAGE/CASE/NUMBER.bin``,
    what they say, and ``result_Files/STAGE/CASE.npz``, the mask made of it; ``time_Result/STAGE.txt``;
    ``masks/CASE.nii.gz``. A scan that fails does not stop the others.

    Attributes:
        failures: what was wrong, by case.
        complete: whether the program computed all it was given.
    """

    package: Package
    program: Program
    out: Path
    failures: dict[str, InputError] = field(default_factory=dict)
    complete: bool = True

    def segment(self, cases: Sequence[Case], *, preprocess: bool = True) -> None:
        """Write the masks of ``cases``.

        Args:
            preprocess: False takes the tensors that an earlier run made of the same scans.

        Raises:
            InputError: a network could not be run at all, or there are no tensors of an earlier run.
        """
        for case in cases:
            self.mask_path(case).unlink(missing_ok=True)  # an earlier run's must not pass for ours
        for stage in self.package.recipe.stages:
            if preprocess:
                self._preprocess(stage, cases)
            self._infer(stage)
            self._find(stage, cases)
        self._each(cases, "masks", self._finish)

    def mask_path(self, case: Case) -> Path:
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

    def _find(self, stage: Stage, cases: Sequence[Case]) -> None:
        """Make the stage's masks of what its network said."""
        images = read_manifest(self._tensors(stage), PREPROCESS)
        answers = read_manifest(self._results(stage), "Run the inference again")

        def find(case: Case, scan: Scan) -> None:
            own = [image for image in images.values() if image.case == case.name]
            replay = Replay(own, self._results(stage), answers, self.package.graphs[stage.name].input.dtype)
            save_stage_mask(self._mask(stage.name, case), stage_mask(self._view(scan, stage, case), replay))

        self._each(cases, f"postprocess, {stage.name}", find)

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
        """``work`` on every case that has not failed yet."""
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
    """What :func:`save_stage_mask` wrote."""
    with np.load(path) as data:
        return StageMask(data["mask"], Grid.from_dict(parse_json(str(data["grid"]), GridFacts)))
