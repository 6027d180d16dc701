"""One process of ``kidneyseg benchmark predict``: segments one scan with one engine."""

from __future__ import annotations

import time
from pathlib import Path

from kidneyseg.benchmark.prediction import LAYOUTS, Job
from kidneyseg.benchmark.stopwatch import Stopwatch
from kidneyseg.benchmark.whole_case import Engine, segment_file
from kidneyseg.benchmark.worker_process import serve
from kidneyseg.inference.model import read_model_recipe


def main(job: Job) -> dict:
    """Run ``job``; returns the measurements of the set-up and of every run."""
    setup = Stopwatch()
    with setup.part("set-up"):
        engine = _engine(job)
    runs = []
    for _ in range(job.repeats):
        cpu = time.process_time()
        watch = segment_file(engine, Path(job.image), Path(job.out), Path(job.regions) if job.regions else None)
        runs.append({"cpu_seconds": time.process_time() - cpu, **_numbers(watch)})
    return {"setup": _numbers(setup), "runs": runs}


def _numbers(watch: Stopwatch) -> dict:
    return {"seconds": watch.seconds, "peak_mib": watch.peak_mib}


def _engine(job: Job) -> Engine:
    """Make the engine; only its own packages are imported."""
    if job.engine in LAYOUTS:
        from kidneyseg.benchmark.monai_engine import MonaiEngine

        assert job.weights is not None  # the peer's jobs have them

        return MonaiEngine(
            read_model_recipe(job.model),
            Path(job.weights),
            channels_last=job.engine == LAYOUTS[1],
            bfloat16=job.precision == "bfloat16",
        )
    from kidneyseg.benchmark.own_engine import OwnEngine

    return OwnEngine(Path(job.model), job.engine, job.precision)


if __name__ == "__main__":
    serve(lambda job: [main(Job(**job))])
