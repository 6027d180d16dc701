"""Records of the finished masks of an output folder: inputs of each mask, in OUT/.kidneyseg/<case>.json."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kidneyseg
from kidneyseg.errors import InputError
from kidneyseg.model_folder.folder import BEST, RECIPE
from kidneyseg.system.config_files import read_json
from kidneyseg.system.digest import sha256
from kidneyseg.system.files import write_text
from kidneyseg.volume.filenames import stem

FOLDER = ".kidneyseg"
DETACHED = (".mhd", ".nhdr")  # header files; the voxels are in another file


@dataclass(frozen=True)
class Notes:
    """Records about the masks in one folder.

    Attributes:
        out: folder of the masks.
        asked: models and options of this call, as JSON types, with the SHA-256 of all model files.
    """

    out: Path
    asked: dict

    def is_done(self, case: str, scan: Path, files: Sequence[Path]) -> bool:
        """Tell whether all ``files`` exist and the mask was made from ``scan`` with the same models and options."""
        return all(file.exists() for file in files) and self._read(case) == self._content(scan)

    def forget(self, case: str) -> None:
        """Delete the record of ``case``; call this before its mask is replaced."""
        self._file(case).unlink(missing_ok=True)

    def write(self, case: str, scan: Path) -> None:
        """Write the record of ``case``; call this after its mask and all other outputs are written."""
        write_text(self._file(case), json.dumps(self._content(scan), indent=1) + "\n")

    def _read(self, case: str) -> dict | None:
        try:
            return read_json(self._file(case), dict[str, Any], expected="notes", remedy="Predict again")
        except InputError:
            return None

    def _content(self, scan: Path) -> dict:
        return {"scan": scan_digests(scan), **self.asked}

    def _file(self, case: str) -> Path:
        return self.out / FOLDER / f"{case}.json"


def asked_for(models: Sequence[Path], finders: Sequence[Path], **options: str) -> dict:
    """Return :attr:`Notes.asked`. It does not depend on the paths of the models."""
    return {
        "models": [model_digests(model) for model in models],
        "finders": [model_digests(one) for one in finders],
        **options,
        "kidneyseg": kidneyseg.__version__,
    }


def model_digests(model: Path) -> dict[str, str]:
    """Return the SHA-256 of each file of a model: a .zip, a folder of graphs, or a recipe and its checkpoints."""
    if model.is_file():
        return {"package": sha256(model)}
    files = [file for pattern in (RECIPE, f"*/{BEST}", "*.onnx", "*.mindir") for file in model.glob(pattern)]
    return {str(file.relative_to(model)): sha256(file) for file in sorted(files)}


def scan_digests(scan: Path) -> list[str]:
    """Return the SHA-256 of a scan's file; for a detached header, those of all files of the same name."""
    files = [scan]
    if scan.suffix.lower() in DETACHED:
        files = sorted(file for file in scan.parent.iterdir() if file.name.startswith(f"{stem(scan)}."))
    return [sha256(file) for file in files]
