"""Benchmark of a whole prediction: seconds and peak memory of every part, and the agreement of the masks.

Every engine has its own process. They run one after the other, so that each can use all the memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

from kidneyseg.benchmark.worker_process import WorkerProcess
from kidneyseg.errors import InputError
from kidneyseg.metrics.dice import dice
from kidneyseg.model_folder.folder import RECIPE, checkpoint_path
from kidneyseg.recipe import Recipe, save_recipe
from kidneyseg.volume.nifti import read_mask

LAYOUTS = ("monai", "monai-channels_last")  # MONAI with PyTorch's two memory layouts


@dataclass(frozen=True)
class Job:
    """The job of one process.

    Attributes:
        title: title of its row.
        engine: name of the engine.
        model: model folder or package.
        image: the scan.
        out: mask to write.
        repeats: number of runs.
        precision: number format of the networks.
        regions: as for ``whole_case.segment_file``.
        weights: folder of the weights for PyTorch.
    """

    title: str
    engine: str
    model: str
    image: str
    out: str
    repeats: int
    precision: str = "float32"
    regions: str | None = None
    weights: str | None = None


@dataclass
class Row:
    """The fastest run of one engine.

    Attributes:
        engine: title of the job.
        seconds: wall time from file to file.
        cpu_seconds: CPU time of all threads together, which is more reliable on a busy machine.
        setup_seconds: time before the first scan, for imports, weights and compilation.
        peak_mib: peak memory of the process.
        parts: part -> {"seconds", "peak_mib"}; the parts are named in ``whole_case``.
        dice: label name -> Dice between the masks of this engine and of the first engine.
    """

    engine: str
    seconds: float
    cpu_seconds: float
    setup_seconds: float
    peak_mib: float
    parts: dict[str, dict[str, float]]
    dice: dict[str, float]


def random_model(recipe: Recipe, folder: Path) -> None:
    """Write a model folder of ``recipe`` with random weights, which is as fast as a trained one."""
    import mindspore as ms

    from kidneyseg import nets
    from kidneyseg.model_folder.checkpoint import TrainingState, save_weights

    folder.mkdir()
    save_recipe(recipe, folder / RECIPE)
    for stage in recipe.stages:
        ms.set_seed(0)
        (folder / stage.name).mkdir()
        network = nets.build_network(stage.network, stage.classes, stage.channels, pretrained=False)
        save_weights(checkpoint_path(folder, stage.name), network, TrainingState())


def random_package(recipe: Recipe, model: Path, folder: Path) -> None:
    """Write the random ``model`` in int8, calibrated with noise; its time does not depend on the values."""
    from kidneyseg.export.graph import Graph, TensorSpec, input_shape
    from kidneyseg.export.metadata import write_metadata
    from kidneyseg.export.onnx_export import INPUT, OUTPUT, noise
    from kidneyseg.export.quantise import quantise_onnx
    from kidneyseg.runtime.onnx_cache import cached_onnx

    folder.mkdir()
    save_recipe(recipe, folder / RECIPE)
    for stage in recipe.stages:
        batch, *shape = input_shape(stage, stage.inference.batch_size)
        graph = Graph(
            folder / f"{stage.name}.onnx",
            "ONNX",
            TensorSpec(INPUT, (batch, *shape)),
            TensorSpec(OUTPUT, (batch, stage.classes, *shape[1:])),
            "int8",
        )
        quantise_onnx(cached_onnx(stage, model), noise((batch, *shape), graph.input.dtype), graph.path)
        write_metadata(graph, recipe, stage, model)


def make_graphs(recipe: Recipe, model: Path) -> None:
    """Export the ONNX files for OpenVINO's process beforehand, because this needs MindSpore, time and memory."""
    from kidneyseg.runtime.onnx_cache import cached_onnx

    for stage in recipe.stages:
        if checkpoint_path(model, stage.name).exists():  # otherwise it is a package, which contains the graphs
            cached_onnx(stage, model)


def require_peer(
    command: str = "benchmark predict", otherwise: str = ", or give --peer none to time this project alone"
) -> None:
    """Raise InputError if PyTorch or MONAI is not installed."""
    missing = [name for name in ("torch", "monai") if not find_spec(name)]
    if missing:
        raise InputError(
            command,
            expected="the packages torch and monai",
            found=f"no {missing[0]}",
            remedy=f"pip install -e .[peer]{otherwise}",
        )


def measure(jobs: Sequence[Job], recipe: Recipe) -> list[Row]:
    """Run the jobs and return one row per job, in order. Raises InputError if one fails."""
    rows = []
    for job in jobs:
        answer = _run(job)
        run = min(answer["runs"], key=lambda run: sum(run["seconds"].values()))
        peaks = [
            *answer["setup"]["peak_mib"].values(),
            *(peak for one in answer["runs"] for peak in one["peak_mib"].values()),
        ]
        parts = {
            part: {"seconds": round(seconds, 3), "peak_mib": round(run["peak_mib"][part], 1)}
            for part, seconds in run["seconds"].items()
        }
        rows.append(
            Row(
                job.title,
                round(sum(run["seconds"].values()), 3),
                round(run["cpu_seconds"], 3),
                round(sum(answer["setup"]["seconds"].values()), 3),
                round(max(peaks), 1),
                parts,
                _agreement(Path(job.out), Path(jobs[0].out), recipe),
            )
        )
    return rows


def _run(job: Job) -> dict:
    remedy = "Try `kidneyseg predict` with this model and scan"
    name = f"benchmark predict, {job.title}"
    with WorkerProcess("kidneyseg.benchmark.prediction_worker", asdict(job), name, remedy) as worker:
        return worker.answer()


def _agreement(mask: Path, other: Path, recipe: Recipe) -> dict[str, float]:
    found, expected = read_mask(mask).array, read_mask(other).array
    return {name: round(dice(found == label, expected == label), 5) for name, label in recipe.labels.items()}


def table(rows: Sequence[Row]) -> str:
    """Format a table with a column per engine; the ratios are of the first engine to each engine."""
    width = max(24, *(len(part) for row in rows for part in row.parts))
    lines = [" " * width + "".join(f"{row.engine:>22}" for row in rows)]

    def line(title: str, cells: Sequence[str]) -> None:
        lines.append(f"{title:<{width}}" + "".join(f"{cell:>22}" for cell in cells))

    for part in rows[0].parts:
        measured = [row.parts.get(part) for row in rows]  # None for a network without any region
        line(
            part,
            [f"{numbers['seconds']:.2f} s {numbers['peak_mib']:7.0f} MiB" if numbers else "-" for numbers in measured],
        )
    line("file to file", [f"{row.seconds:.2f} s {row.peak_mib:7.0f} MiB" for row in rows])
    line("time, CPU of all threads", [f"{row.cpu_seconds:.2f} s" for row in rows])
    line("set-up, once", [f"{row.setup_seconds:.2f} s" for row in rows])
    line(f"time of {rows[0].engine} / its", [f"{rows[0].seconds / row.seconds:.3f}" for row in rows])
    line(f"memory of {rows[0].engine} / its", [f"{rows[0].peak_mib / row.peak_mib:.3f}" for row in rows])
    for name in rows[0].dice:
        line(f"Dice with {rows[0].engine}, {name}", [f"{row.dice[name]:.4f}" for row in rows])
    return "\n".join(lines)
