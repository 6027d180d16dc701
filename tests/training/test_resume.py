"""A run killed with SIGKILL and resumed must end with the very bits of a run that was never stopped."""

import json
import signal
import subprocess
import sys

import mindspore as ms
import numpy as np
from tiny_training import make_work

DRIVER = '''
import os, signal, sys
from kidneyseg import cli
from kidneyseg.training import log, step

moment, count = sys.argv[1], 0

def fatal(name, function, when=lambda *args: True, after=False):
    """Kill this process in the first call of `function` that `when` is about, if this is the moment asked for."""
    def wrapped(*args, **kwargs):
        if moment != name or not when(*args):
            return function(*args, **kwargs)
        if after:
            function(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)
    return wrapped

def fourth(*_):
    global count
    count += 1
    return count == 4

step.TrainStep.__call__ = fatal("in the fourth step", step.TrainStep.__call__, fourth)
os.fsync = fatal("writing a checkpoint", os.fsync)
log.Log.epoch = fatal("between log and last.ckpt", log.Log.epoch, after=True)
log.Terminal.epoch = fatal("right after an epoch", log.Terminal.epoch)
sys.exit(cli.main(sys.argv[2:]))
'''
# What a run must keep, or work out again: losses of mined samples, shares of mixup, weights of side outputs.
OPTIONS = [
    "stages.fine.network={name: unet3plus, width: 2, depth: 2, deep_supervision: true}",
    "stages.fine.loss.side={decay: 0.5, every: 1}",
    "stages.fine.train.sampler.mine=0.5",
    "stages.fine.train.augment={mixup: 0.4, elastic: {probability: 0.5}}",
]
MOMENTS = ["in the fourth step", "writing a checkpoint", "between log and last.ckpt", "right after an epoch"]


def train(folder, moment, *options):
    """Start training in ``folder``, to be killed at ``moment``; a handle to wait for."""
    driver = folder / "driver.py"
    driver.write_text(DRIVER)
    return subprocess.Popen(
        [
            sys.executable,
            str(driver),
            moment,
            "train",
            "-c",
            str(folder / "tiny.yaml"),
            *OPTIONS,
            "--work",
            str(folder / "work"),
            "--stage",
            "fine",
            "--fold",
            "0",
            "--device",
            "CPU",
            *options,
        ],
        stderr=subprocess.PIPE,
        text=True,
    )


def entries(path):
    return {
        name: np.asarray(value if isinstance(value, str) else value.asnumpy())
        for name, value in ms.load_checkpoint(str(path)).items()
        if name not in ("progress", "digest")
    }


def rows(folder):
    timing = ("seconds", "samples_per_s")
    lines = (folder / "log.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k not in timing} for line in lines]


def test_killed_at_every_moment(tmp_path):
    for name in ("straight", "killed"):
        (tmp_path / name).mkdir()
        make_work(tmp_path / name)
    never_killed = train(tmp_path / "straight", "never")
    for moment in MOMENTS:
        killed = train(tmp_path / "killed", moment, "--resume")
        _, stderr = killed.communicate(timeout=200)
        assert killed.returncode == -signal.SIGKILL, f"{moment}: {stderr}"
    for run in (never_killed, train(tmp_path / "killed", "never", "--resume")):
        _, stderr = run.communicate(timeout=200)
        assert run.returncode == 0, stderr

    straight, resumed = (tmp_path / name / "work/fold0/fine" for name in ("straight", "killed"))
    assert np.isfinite(entries(straight / "last.ckpt")["sampler.losses"]).any()
    for name in ("last.ckpt", "best.ckpt"):
        expected, found = entries(straight / name), entries(resumed / name)
        assert expected.keys() == found.keys()
        assert [key for key in expected if expected[key].tobytes() != found[key].tobytes()] == []
    assert rows(resumed) == rows(straight) and [row["epoch"] for row in rows(resumed)] == [0, 1]
    assert sorted(path.name for path in resumed.iterdir()) == ["best.ckpt", "last.ckpt", "log.jsonl", "tensorboard"]
    sessions = json.loads((resumed.parent / "run.json").read_text())["fine"]
    assert [(s["first_epoch"], s["first_step"]) for s in sessions] == [(0, 0), (0, 2), (0, 2), (0, 4), (1, 0)]
