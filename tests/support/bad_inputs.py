"""Inputs that no command may accept, by name, and the good ones they stand beside."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from cascade_doubles import make_hu, make_labels, save_scan
from tiny_model import save_tiny_model

from kidneyseg import cli

SHAPE, SPACING = (20, 48, 60), (3.0, 1.5, 1.5)
LABELS = make_labels(SHAPE, [((10, 26, 44), (6, 8, 8)), ((9, 26, 16), (6, 8, 8))], [((10, 32, 44), (3, 4, 4))])
CASES = [f"case_{n:05d}" for n in range(4)]


@dataclass(frozen=True)
class Good:
    """A cohort, its prepared data and a trained (random) model of fold 0, made once and changed by nobody."""

    data: Path
    work: Path
    model: Path
    recipe: Path

    @classmethod
    def make(cls, root: Path) -> Good:
        good = cls(root / "data", root / "work", root / "work" / "fold0", root / "tiny.yaml")
        for case in CASES:
            save_case(good.data / case)
        save_tiny_model(root / "model")
        shutil.copy(root / "model" / "recipe.yaml", good.recipe)
        folders = ["--data", str(good.data), "--work", str(good.work)]
        assert cli.main(["prepare", "-c", str(good.recipe), *folders, "--folds", "2", "--workers", "1"]) == 0
        (root / "model").rename(good.model)
        return good


def save_case(folder: Path, hu: np.ndarray | None = None, labels: np.ndarray = LABELS, spacing=SPACING) -> None:
    save_scan(folder / "imaging.nii.gz", make_hu(LABELS) if hu is None else hu, SPACING)
    save_scan(folder / "segmentation.nii.gz", labels, spacing)


class Inputs(dict):
    """Words of a command line by name: ``{tmp}``, the good inputs, and those below, each made when first named."""

    def __init__(self, tmp: Path, good: Good):
        super().__init__(vars(good), tmp=tmp)
        self.tmp, self.good = tmp, good

    def __missing__(self, name: str) -> Path:
        self[name] = getattr(self, name)(self.tmp / name)
        return self[name]

    def absent(self, path):
        """A device that is not in this machine."""
        import mindspore as ms

        return next(name for name in ("GPU", "Ascend") if not ms.hal.is_available(name))

    # files and folders

    def file(self, path):
        path.write_text("not a folder")
        return path

    def empty(self, path):
        path.mkdir()
        return path

    # scans

    def scan(self, path):
        return save_scan(path / "ct.nii.gz", make_hu(LABELS), SPACING)

    def scan_folder(self, path):
        return self["scan"].parent

    def truncated(self, path):
        path = self.scan(path)
        path.write_bytes(path.read_bytes()[:2000])
        return path

    def one_bit(self, path):
        path = self.scan(path)
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
        return path

    def eight_bits(self, path):
        hu = np.interp(make_hu(LABELS), (-160, 240), (0, 255)).astype(np.uint8)
        return save_scan(path / "ct.nii.gz", hu, SPACING)

    def micrometres(self, path):
        return save_scan(path / "ct.nii.gz", make_hu(LABELS), [1000 * mm for mm in SPACING])

    def dicom(self, path):
        path.mkdir()
        (path / "IM0001").write_bytes(bytes(128) + b"DICM")
        return path

    def not_nifti(self, path):
        path = self.scan(path)
        path.write_text("<html>404</html>")
        return path

    def dicom_name(self, path):
        return self.scan(path).rename(path / "ct.dcm")

    def four_axes(self, path):
        return self._resaved(path, data=np.zeros((8, 8, 8, 2), np.int16))

    def not_a_number(self, path):
        hu = make_hu(LABELS).astype(np.float32)
        hu[3, 4, 5] = np.nan
        return save_scan(path / "ct.nii.gz", hu, SPACING)

    def singular(self, path):
        return self._resaved(
            path,
            affine=np.diag([1.5, 1.5, 1e-9, 1]) @ np.array([[1, 0, 1, 0], [0, 1, 1, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]),
        )

    def no_orientation(self, path):
        return self._resaved(path, code=0)

    def _resaved(self, folder, data=None, affine=None, code=1):
        folder.mkdir()
        image = nib.Nifti1Image(
            np.zeros((8, 8, 8), np.int16) if data is None else data, np.eye(4) if affine is None else affine
        )
        image.set_sform(image.affine, code)
        image.set_qform(None if affine is not None else image.affine, 0 if affine is not None else code)
        nib.save(image, folder / "ct.nii.gz")
        return folder / "ct.nii.gz"

    def two_of_one_name(self, path):
        save_scan(path / "b" / "ct.nii.gz", make_hu(LABELS), SPACING)
        return self.scan(path / "a").parents[1]

    # cohorts of two cases

    def _cohort(self, folder, **changes):
        for case in CASES[:2]:
            save_case(folder / case, **changes)
        return folder

    def no_mask(self, path):
        (self._cohort(path) / CASES[1] / "segmentation.nii.gz").unlink()
        return path

    def no_masks(self, path):
        for file in self._cohort(path).glob("*/segmentation.nii.gz"):
            file.unlink()
        return path

    def broken_scans(self, path):
        for file in self._cohort(path).glob("*/imaging.nii.gz"):
            file.write_bytes(b"not gzip")
        return path

    def nan_scans(self, path):
        return self._cohort(path, hu=np.full(SHAPE, np.nan, np.float32))

    def broken_masks(self, path):
        for file in self._cohort(path).glob("*/segmentation.nii.gz"):
            file.write_bytes(b"not gzip")
        return path

    def label_7(self, path):
        return self._cohort(path, labels=np.where(LABELS == 2, 7, LABELS).astype(np.uint8))

    def other_shape(self, path):
        return self._cohort(path, labels=LABELS[:-1])

    def other_spacing(self, path):
        return self._cohort(path, spacing=(3.0, 1.5, 2.0))

    def same_names(self, path):
        for suffix in ("nii", "nii.gz"):
            save_scan(path / f"a.{suffix}", make_hu(LABELS), SPACING)
            save_scan(path / f"a_seg.{suffix}", LABELS, SPACING)
        return path

    # masks to score

    def masks(self, path, labels=LABELS, spacing=SPACING):
        for case in CASES:
            save_scan(path / f"{case}.nii.gz", labels, spacing)
        return path

    def masks_of_other_shape(self, path):
        return self.masks(path, LABELS[1:])

    def masks_elsewhere(self, path):
        return self.masks(path, spacing=(3.0, 1.5, 2.0))

    def soft_masks(self, path):
        return self.masks(path, LABELS * np.float32(0.3))

    def strangers(self, path):
        save_scan(path / "patient_x.nii.gz", LABELS, SPACING)
        return path

    # recipes

    def misspelt(self, path):
        return self._recipe(path, "epochz: 3\n" + self.good.recipe.read_text())

    def not_yaml(self, path):
        return self._recipe(path, "stages: [")

    def a_list(self, path):
        return self._recipe(path, "- 1")

    def _recipe(self, path, text):
        path = path.with_suffix(".yaml")
        path.write_text(text)
        return path

    # models

    def _model(self, path):
        for name in ("recipe.yaml", "coarse/best.ckpt", "fine/best.ckpt"):
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(self.good.model / name, path / name)
        return path

    def no_checkpoint(self, path):
        (self._model(path) / "fine" / "best.ckpt").unlink()
        return path

    def cut_checkpoint(self, path):
        file = self._model(path) / "fine" / "best.ckpt"
        file.write_bytes(file.read_bytes()[:500])
        return path

    def empty_checkpoint(self, path):
        (self._model(path) / "fine" / "best.ckpt").write_bytes(b"")
        return path

    def other_network(self, path):
        recipe = self._model(path) / "recipe.yaml"
        recipe.write_text(recipe.read_text().replace("unet3plus", "unet2d"))
        return path

    # work folders

    def _work(self, path):
        shutil.copytree(self.good.work, path)
        return path

    def broken_splits(self, path):
        path.mkdir()
        (path / "splits.json").write_text('{"folds": ')
        return path

    def other_splits(self, path):
        path.mkdir()
        folds = [{"train": CASES[:1], "val": CASES[1:]}, {"train": CASES[1:], "val": CASES[:1]}]
        (path / "splits.json").write_text(json.dumps({"seed": 1, "folds": folds}))
        return path

    def no_case_json(self, path):
        (self._work(path) / "prepared" / CASES[1] / "case.json").unlink()
        return path

    def no_records(self, path):
        for file in self._work(path).glob("prepared/*/*.fine.mindrecord*"):
            file.unlink()
        return path

    def cut_records(self, path):
        for file in self._work(path).glob("prepared/*/*.fine.mindrecord"):
            file.write_bytes(file.read_bytes()[:-1])
        return path

    def changed_records(self, path):
        """One bit of the last row."""
        for file in self._work(path).glob("prepared/*/*.fine.mindrecord"):
            data = bytearray(file.read_bytes())
            data[-1] ^= 1
            file.write_bytes(data)
        return path

    def earlier_run(self, path):
        """As far as training looks before it goes on: a checkpoint and the recipe it was trained with."""
        (self._work(path) / "fold0" / "fine" / "last.ckpt").write_bytes(b"cut while it was copied")
        return path

    def moved_data(self, path):
        for file in self._work(path).glob("prepared/*/case.json"):
            file.write_text(file.read_text().replace(str(self.good.data), str(self.tmp / "gone")))
        return path

    def untrained(self, path):
        shutil.rmtree(self._work(path) / "fold0")
        return path

    def broken_scores(self, path):
        (self._work(path) / "fold0" / "scores.json").write_text('{"cases": 3}')
        return path

    def foreign(self, path):
        path.mkdir()
        (path / "thesis.txt").write_text("precious")
        return path

    def other_simulation(self, path):
        path.mkdir()
        (path / "simulation.json").write_text('{"seed": 1}\n')
        return path
