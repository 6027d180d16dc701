"""Two real processes under msrun train like one process with twice the batch; a rank that fails ends the run."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import mindspore as ms
import numpy as np
import psutil
from python_double import doubled_python
from tiny_training import make_work

SCRIPT = Path(__file__).parents[2] / "scripts" / "run_distribute_train.sh"
# Stands in for train.py beside a copy of the script: the same command, and each rank leaves what it saw and became.
SPY = """
import json, os, pathlib, sys
import numpy as np
from kidneyseg import cli
from kidneyseg.training.loop import Loop
from kidneyseg.training_data.training_batches import TrainingBatches

out = pathlib.Path(__file__).parent
rank = os.environ["RANK_ID"]
seen, epoch, run = [], TrainingBatches.epoch, Loop.run

def watched_epoch(self, number, first_step=0):
    for image, target, names in epoch(self, number, first_step):
        seen.append([[number, name, float(np.abs(x).sum())] for name, x in zip(names, image)])
        yield image, target, names

def watched_run(self):
    done = run(self)
    np.savez(out / f"rank{rank}.npz", **{p.name: p.asnumpy() for p in self.network.get_parameters()})
    (out / f"seen{rank}.json").write_text(json.dumps(seen))
    return done

TrainingBatches.epoch, Loop.run = watched_epoch, watched_run
sys.exit(cli.main(["train", *sys.argv[1:]]))
"""

# Each rank leaves what validation gives with the weights of the seed: of three batches, the short last one alone on
# the second rank and a case on both, and of one batch, which leaves the second rank without any.
VALIDATE = """
import pathlib
import numpy as np
from kidneyseg.recipe import load_recipe
from kidneyseg.training import distributed
from kidneyseg.training.train_stage import build_loop

out = pathlib.Path(__file__).parent
chosen, ranks = distributed.start("CPU")
for size, cases in ((3, ["case0", "case3"]), (8, ["case3"])):
    recipe = load_recipe(out / "tiny.yaml", [f"stages.fine.train.batch_size={size}"])
    split = {"train": ["case1", "case2"], "val": cases}
    loop = build_loop(recipe, recipe.stage("fine"), out / "work", out, split, chosen, ranks)
    found = loop.validator(loop.val.epoch(0), min(size, loop.val.samples))
    np.savez(out / f"{size}by{ranks.rank}of{ranks.size}.npz", loss=found.loss, **found.dice, **vars(found.picture))
"""


def environment():
    """msrun starts the `python` of PATH; a rank that dies, or is late, is missed after 5 s, not 30."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "MS_NODE_TIMEOUT": "5"}


def start(folder: Path, program: str, *arguments: str, ranks=("CPU", "2"), **variables: str) -> subprocess.Popen:
    """run_distribute_train.sh on ``program`` instead of train.py, with two ranks."""
    (folder / "scripts").mkdir(exist_ok=True)
    for script in (SCRIPT, SCRIPT.with_name("setup_env.sh")):
        shutil.copy(script, folder / "scripts")
    (folder / "train.py").write_text(program)
    return subprocess.Popen(
        ["bash", str(folder / "scripts" / SCRIPT.name), *ranks, *arguments],
        text=True,
        env=environment() | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def left_behind(folder: Path) -> list[str]:
    commands = []
    for process in psutil.process_iter(["cmdline", "status"]):
        command = " ".join(process.info["cmdline"] or [])
        if str(folder) in command and process.info["status"] != psutil.STATUS_ZOMBIE:
            commands.append(command)
    return commands


def test_two_ranks_train_like_one(tmp_path):
    folder = tmp_path / """a b[1]'";|&*?(é模型)"""  # any name will do
    folder.mkdir()
    work = make_work(folder)
    run = start(tmp_path, SPY, str(work), str(folder / "tiny.yaml"), "fine", "0")
    stdout, stderr = run.communicate(timeout=300)
    assert run.returncode == 0, stderr
    assert "epoch 2/2" in stdout and left_behind(tmp_path) == []

    first, second = (dict(np.load(tmp_path / f"rank{rank}.npz")) for rank in (0, 1))
    assert first.keys() == second.keys()
    assert all(first[name].tobytes() == second[name].tobytes() for name in first)
    alone = ["-c", str(folder / "tiny.yaml"), "--work", str(work), "--stage", "fine", "--device", "CPU"]
    resumed = subprocess.run(
        [sys.executable, "-m", "kidneyseg", "train", *alone, "--resume"], capture_output=True, text=True, timeout=200
    )
    assert resumed.returncode == 2 and "one that was started on 2" in resumed.stderr
    shards = [samples(tmp_path, rank) for rank in (0, 1)]
    assert shards[0].isdisjoint(shards[1])

    together = (work / "fold0").rename(tmp_path / "together")
    assert json.loads((together / "run.json").read_text())["fine"][0]["ranks"] == 2
    single = subprocess.run(
        [sys.executable, str(tmp_path / "train.py"), *alone, "stages.fine.train.batch_size=4"],
        capture_output=True,
        text=True,
        timeout=200,
        env={**os.environ, "RANK_ID": "0"},
    )
    assert single.returncode == 0, single.stderr
    assert samples(tmp_path, 0) == shards[0] | shards[1]
    expected = ms.load_checkpoint(str(work / "fold0/fine/last.ckpt"))
    for name in first:
        np.testing.assert_allclose(first[name], expected[name].asnumpy(), atol=1e-4, err_msg=name)


def test_two_ranks_validate_like_one(tmp_path):
    make_work(tmp_path)
    patience = {"MS_NODE_TIMEOUT": "60"}  # the rank without a batch waits while the other compiles
    run = start(tmp_path, VALIDATE, str(tmp_path / "logs"), "tiny.yaml", "fine", "0", **patience)
    stdout, stderr = run.communicate(timeout=300)
    assert run.returncode == 0, stderr
    alone = [sys.executable, str(tmp_path / "train.py")]
    single = subprocess.run(alone, capture_output=True, text=True, timeout=200, env=environment())
    assert single.returncode == 0, single.stderr
    for size in (3, 8):
        expected = dict(np.load(tmp_path / f"{size}by0of1.npz"))
        assert {"loss", "kidney+tumour", "tumour", "image", "target", "predicted"} == expected.keys()
        for rank in (0, 1):
            found = np.load(tmp_path / f"{size}by{rank}of2.npz")
            for name in expected:
                rounding = 1e-5 if name == "loss" else 0
                np.testing.assert_allclose(found[name], expected[name], rtol=rounding, err_msg=f"{size} {rank} {name}")


def test_two_machines_train_like_one(tmp_path):
    """Two calls of the script on one machine; the second one's msrun takes the address of the first for another's."""
    elsewhere = (
        "from mindspore.parallel.cluster import run; from mindspore.parallel.cluster.process_entity import _api;"
        "_api._is_local_ip = lambda address: False; run.main()"
    )
    msrun = f"shift 2; exec {sys.executable} -c '{elsewhere}' \"$@\""
    second = doubled_python(tmp_path / "bin", "mindspore.parallel.cluster.run", msrun)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = ["--worker_num=2", "--master_addr=127.0.0.1", f"--master_port={port}"]
    apart, together = tmp_path / "apart", tmp_path / "together"
    for folder in (apart, together):
        folder.mkdir()
        make_work(folder)
    runs = [
        start(
            apart,
            SPY,
            *(str(apart / name) for name in ("work", "tiny.yaml")),
            "fine",
            ranks=[*common, f"--node_rank={number}", "CPU", "1"],
            MS_NODE_TIMEOUT="60",
            **variables,
        )
        for number, variables in enumerate([{}, second])
    ]
    for run in runs:
        _, stderr = run.communicate(timeout=300)
        assert run.returncode == 0, stderr
    logs = apart / "work/fold0/fine/msrun"
    assert (logs / "node0/scheduler.log").exists() and not (logs / "node1/scheduler.log").exists()
    run = start(together, SPY, *(str(together / name) for name in ("work", "tiny.yaml")), "fine", MS_NODE_TIMEOUT="60")
    _, stderr = run.communicate(timeout=300)
    assert run.returncode == 0, stderr
    expected = np.load(together / "rank0.npz")
    for rank in (0, 1):
        found = np.load(apart / f"rank{rank}.npz")
        assert found.files == expected.files
        for name in expected.files:
            np.testing.assert_array_equal(found[name], expected[name], err_msg=name)
    assert left_behind(tmp_path) == []


def samples(folder: Path, rank: int) -> set[tuple]:
    """(epoch, case, sum of the augmented image) of every sample that a rank trained on."""
    seen = json.loads((folder / f"seen{rank}.json").read_text())
    return {tuple(sample) for step in seen for sample in step}


def test_a_failing_rank_ends_the_run_and_is_heard(tmp_path):
    work = make_work(tmp_path)
    fault = 'def watched_run(self):\n    if rank == "1":\n        raise OSError("disk of rank 1 is gone")'
    fail = SPY.replace("def watched_run(self):", fault)
    run = start(tmp_path, fail, str(work), str(tmp_path / "tiny.yaml"), "fine", "0")
    stdout, stderr = run.communicate(timeout=300)
    assert run.returncode not in (0, None)
    assert "disk of rank 1 is gone" in stderr and "worker_1" in stderr
    assert left_behind(tmp_path) == []


def test_an_interrupted_run_leaves_no_process(tmp_path):
    wait = (
        "import time\nfrom kidneyseg.training import distributed\n"
        "print(distributed.start('CPU'), flush=True)\ntime.sleep(600)\n"
    )
    run = start(tmp_path, wait, str(tmp_path / "work"), "recipe.yaml", "fine", "0")
    logs = tmp_path / "work/fold0/fine/msrun"
    deadline = time.monotonic() + 100
    while not all("size=2" in _text(logs / f"worker_{rank}.log") for rank in (0, 1)):
        assert time.monotonic() < deadline and run.poll() is None, run.communicate()
        time.sleep(0.2)
    run.send_signal(signal.SIGTERM)
    assert run.wait(timeout=30) == 143
    deadline = time.monotonic() + 20
    while left_behind(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert left_behind(tmp_path) == []


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""
