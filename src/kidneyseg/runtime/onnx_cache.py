"""Cache of the ONNX files of trained stages, which are exported when they are first needed."""

from __future__ import annotations

import hashlib
from pathlib import Path

import kidneyseg
from kidneyseg.model_folder.folder import checkpoint_path
from kidneyseg.recipe import Stage
from kidneyseg.system.cache import cache_folder, forget_unused, keep
from kidneyseg.system.digest import sha256

MADE_OF = ("nets", "export")  # packages whose source determines the content of such a file


def cached_onnx(stage: Stage, model: Path) -> Path:
    """Return the path of the ONNX file of a stage, for the recipe's batch size. Raises as ``export_onnx``.

    The name of the file in the cache folder has a hash of all that it depends on: weights, network, sizes and the
    source of this package. MindSpore is imported only if the file must be written.
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
