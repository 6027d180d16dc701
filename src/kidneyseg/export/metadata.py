"""The JSON metadata of an exported graph, with all that is needed to deploy the graph without this package."""

from __future__ import annotations

import json
import platform
from importlib.metadata import version
from pathlib import Path

import kidneyseg
from kidneyseg.export.graph import Graph, TensorSpec
from kidneyseg.model_folder.folder import BEST, checkpoint_path
from kidneyseg.recipe import Intensity, Recipe, Region, Stage, VolumeSampling, WholeSampling
from kidneyseg.recipe.sampling import Sampling
from kidneyseg.system.digest import sha256
from kidneyseg.system.files import write_text
from kidneyseg.system.versions import git_revision

IN_GRAPH = {"normalise": "nothing: the graph takes the uint8 values and normalises them itself"}


def write_metadata(graph: Graph, recipe: Recipe, stage: Stage, model: Path) -> Path:
    """Write the result of :func:`describe` next to the file of ``graph``. Returns its path."""
    write_text(graph.description, json.dumps(describe(graph, recipe, stage, model), indent=2) + "\n")
    return graph.description


def describe(graph: Graph, recipe: Recipe, stage: Stage, model: Path) -> dict:
    """Describe how to compute the input of ``graph`` and what its output means, as JSON types."""
    return {
        "stage": stage.name,
        "graph": {"file": graph.path.name, "format": graph.format, "sha256": sha256(graph.path)},
        "checkpoint": {"file": f"{stage.name}/{BEST}", "sha256": sha256(checkpoint_path(model, stage.name))},
        "precision": graph.precision,
        "operators": dict(graph.operators),
        "input": _port(graph.input)
        | {"axes": ["batch", "channel", *_axes(stage)], **_preprocessing(stage, graph.input.dtype == "uint8")},
        "output": _port(graph.output)
        | {
            "axes": ["batch", "class", *_axes(stage)],
            "softmax": "in the graph: probabilities that sum to 1 over the classes",
            "classes": _classes(recipe, stage),
        },
        "recipe": json.loads(recipe.model_dump_json(exclude_none=True)),
        "versions": {
            "kidneyseg": kidneyseg.__version__,
            "git": git_revision(),
            "mindspore": version("mindspore"),
            "python": platform.python_version(),
        },
    }


def _port(port: TensorSpec) -> dict:
    return {"name": port.name, "shape": list(port.shape), "dtype": port.dtype}


def _axes(stage: Stage) -> list[str]:
    return ["z", "y", "x"][-stage.dims :]


def _preprocessing(stage: Stage, uint8: bool) -> dict:
    """Describe how the input is computed from a scan in HU, step by step in the order of the keys."""
    return {
        "orientation": "index of z grows towards Superior, of y towards Posterior, of x towards Left",
        "clip_hu": list(stage.intensity.clip),
        "to_uint8": "round((hu - clip[0]) * 255 / (clip[1] - clip[0]))",
        "region": _region(stage.region),
        "resampling": "linear, on the uint8 image, voxel faces (not centres) of the region kept in place",
        **_lattice(stage.sampling),
        **(
            {"masked": f"uint8 0 outside the mask of stage {stage.region.of!r}{_grown(stage.region)}"}
            if stage.region.masked
            else {}
        ),
        **_windows(stage),
        **(IN_GRAPH if uint8 else _normalisation(stage.intensity)),
        "mirrors": list(stage.inference.mirrors),
    }


def _region(region: Region) -> str:
    if region.of is None:
        return "the body" if region.body else "the whole scan"
    if region.crop == "none":
        return f"the whole scan, if the mask of stage {region.of!r} is not empty"
    how = {
        "extents": f"boxes: along each axis the mask's coordinates split at gaps of {region.gap} or more voxels",
        "kidneys": "a box around each 26-connected component",
        "box": "one box around all",
        "slices": "from the first to the last axial slice, at the scan's full width",
    }[region.crop]
    voxels = "the scan" if region.voxels == "scan" else "that mask"
    return (
        f"of the mask of stage {region.of!r}, {how}; margin {region.margin}, every side at least {region.least} "
        f"voxels of {voxels}"
    )


def _grown(region: Region) -> str:
    return f", dilated by {region.grow:g} mm" if region.grow else ""


def _lattice(sampling: Sampling) -> dict:
    """Describe the grid to which a region is resampled."""
    if isinstance(sampling, VolumeSampling):
        return {"spacing_mm": list(sampling.spacing)}
    if isinstance(sampling, WholeSampling):
        return {"region_voxels": list(sampling.shape)}
    return {"slice_spacing_mm": sampling.slice_spacing or "the scan's own", "size_pixels": list(sampling.size)}


def _windows(stage: Stage) -> dict:
    """Describe which part of this grid is one input."""
    if stage.dims == 2:
        stack = f"the {stage.channels} slices around it, beyond the region's ends the last one; output: middle slice"
        return {"slices": "every axial slice", "channels": stack if stage.channels > 1 else "the slice"}
    if isinstance(stage.sampling, WholeSampling):
        return {}
    weights = {
        "gaussian": "Gaussian, SD = patch / 8",
        "centre": "1 in the middle half of the window along every axis, 1e-6 per axis elsewhere; the middle half of "
        "the first and of the last window of an axis is extended to the border of the region",
    }
    return {
        "patch_voxels": list(stage.window),
        "window_overlap": stage.inference.overlap,
        "window_weights": weights[stage.inference.merge],
    }


def _normalisation(intensity: Intensity) -> dict:
    if intensity.per_volume:
        return {"normalise": "(uint8 - mean) / std of the input itself; 0 if all its values are equal"}
    return {"normalise": "(uint8 - mean) / std", "mean": intensity.mean, "std": intensity.std}


def _classes(recipe: Recipe, stage: Stage) -> list[dict]:
    """List for each class its labels and the label that is written to the mask."""
    names = {label: name for name, label in recipe.labels.items()}
    groups = [[], *(list(target) for target in stage.targets)]
    return [
        {
            "class": index,
            "name": " + ".join(names[label] for label in group) or "background",
            "labels": group,
            "written": written,
        }
        for index, (group, written) in enumerate(zip(groups, stage.class_labels))
    ]
