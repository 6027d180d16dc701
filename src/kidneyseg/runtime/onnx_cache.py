"""ONNX files of trained stages made when they are first asked for, kept for the next time."""

from __future__ import annotations

import hashlib
from pathlib import Path

import kidneyseg
from kidneyseg.model_folder.folder import checkpoint_path
from kidneyseg.recipe import Stage
from kidneyseg.system.cache import cache_folder, forget_unused, keep
from kidneyseg.system.digest import sha256

MADE_OF = ("nets", "export")  # packages whose source decides what is in such a file


def cached_onnx(stage: Stage, model: Path) -> Path:
    """The network of ``stage`` of a model folder as ONNX, for batches of the recipe's size; raises as `export_onnx`.

    A file in the cache folder is named by all it depends on: weights, network, sizes and this package's source.
    MindSpore is imported only to make one.
    """
    path = cache_folder() / f"{stage.name}-{_fingerprint(stage, checkpoint_path(model, stage.name))}.onnx"
    if not path.exists():
        from kidneyseg import device
        from kidneyseg.export.graph import ExportOptions
        from kidneyseg.export.onnx_export import export_onnx

        device.use("CPU")
        forget_unused()
        export_onnx(stage, model, path, ExportOptions(stage.inference.batch_size))
    keep(path)
    return path


def _fingerprint(stage: Stage, checkpoint: Path) -> str:
    source = Path(kidneyseg.__file__).parent
    files = [checkpoint, *sorted(file for package in MADE_OF for file in (source / package).rglob("*.py"))]
    facts = [
        stage.network.model_dump_json(),
        stage.classes,
        stage.channels,
        stage.window,
        stage.inference.batch_size,
        *map(sha256, files),
    ]
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]
