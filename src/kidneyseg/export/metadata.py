"""The JSON beside an exported graph: everything its user needs to know, so that the graph alone can be deployed."""

from __future__ import annotations

import hashlib
import json
import platform
from importlib.metadata import version
from pathlib import Path

import kidneyseg
from kidneyseg.atomic import write_text
from kidneyseg.export.mindir import Graph, Port
from kidneyseg.inference.model import checkpoint_path
from kidneyseg.inference.stages import class_labels
from kidneyseg.recipe import Recipe, Stage, Volumes
from kidneyseg.training.provenance import git_revision


def write_metadata(graph: Graph, recipe: Recipe, stage: Stage, model: Path) -> Path:
    """Write :func:`describe` beside ``graph``, as ``NAME.json`` for ``NAME.mindir``; returns its path."""
    path = graph.path.with_suffix(".json")
    write_text(path, json.dumps(describe(graph, recipe, stage, model), indent=2) + "\n")
    return path


def describe(graph: Graph, recipe: Recipe, stage: Stage, model: Path) -> dict:
    """What inference with ``graph`` needs, JSON-ready: how to make its input, and what its output means."""
    return {
        "stage": stage.name,
        "graph": {"file": graph.path.name, "format": "MindIR", "sha256": sha256(graph.path)},
        "checkpoint": {"file": f"{stage.name}/best.ckpt", "sha256": sha256(checkpoint_path(model, stage.name))},
        "input": _port(graph.input) | {"axes": ["batch", "channel", *_axes(stage)], **_preprocessing(stage)},
        "output": _port(graph.output) | {
            "axes": ["batch", "class", *_axes(stage)],
            "softmax": "in the graph: probabilities that sum to 1 over the classes",
            "classes": _classes(recipe, stage),
        },
        "recipe": json.loads(recipe.model_dump_json(exclude_none=True)),
        "versions": {"kidneyseg": kidneyseg.__version__, "git": git_revision(), "mindspore": version("mindspore"),
                     "python": platform.python_version()},
    }


def sha256(path: Path) -> str:
    """SHA-256 of a file, as hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _port(port: Port) -> dict:
    return {"name": port.name, "shape": list(port.shape), "dtype": "float32"}


def _axes(stage: Stage) -> list[str]:
    return ["z", "y", "x"][-stage.dims:]


def _preprocessing(stage: Stage) -> dict:
    """How the input is made of a scan in HU, step by step in the order of the keys."""
    sampling, intensity = stage.sampling, stage.intensity
    region = "the body, or the whole scan" if stage.region.of is None else f"ROIs of stage {stage.region.of!r}"
    geometry = (
        {"spacing_mm": list(sampling.spacing), "patch_voxels": list(sampling.patch),
         "window_overlap": stage.inference.overlap, "window_weights": "Gaussian, SD = patch / 8"}
        if isinstance(sampling, Volumes) else
        {"slices": "every axial slice of an ROI, at the scan's own slice spacing", "size_pixels": list(sampling.size)}
    )
    return {
        "orientation": "index of z grows towards Superior, of y towards Posterior, of x towards Left",
        "clip_hu": list(intensity.clip),
        "to_uint8": "round((hu - clip[0]) * 255 / (clip[1] - clip[0]))",
        "region": region,
        "resampling": "linear, on the uint8 image, voxel faces (not centres) of the region kept in place",
        **geometry,
        "normalise": "(uint8 - mean) / std",
        "mean": intensity.mean,
        "std": intensity.std,
    }


def _classes(recipe: Recipe, stage: Stage) -> list[dict]:
    """Per class, the labels it stands for and the one that is written."""
    names = {label: name for name, label in recipe.labels.items()}
    groups = [[], *(list(target) for target in stage.targets)]
    return [
        {"class": index, "name": " + ".join(names[label] for label in group) or "background", "labels": group,
         "written": written}
        for index, (group, written) in enumerate(zip(groups, class_labels(stage)))
    ]
