"""The Slurm example and the ModelArts entry, with doubles of what only such clusters have."""

import os
import subprocess
import sys
from pathlib import Path

from tiny_training import make_work

ROOT = Path(__file__).parents[2]
SBATCH, MODELARTS = ROOT / "scripts/slurm_train.sbatch", ROOT / "scripts/modelarts_train.py"
# moxing, as far as it is used: URLs are folders below MOXING_ROOT; every copy is noted.
MOXING = """
import os, pathlib, shutil, types

def copy_parallel(source, target):
    root = os.environ["MOXING_ROOT"]
    with open(root + "/copies", "a") as notes:
        notes.write(f"{source} {target}\\n")
    shutil.copytree(source.replace("obs:/", root), target.replace("obs:/", root), dirs_exist_ok=True)

file = types.SimpleNamespace(copy_parallel=copy_parallel)
"""


def test_each_slurm_node_starts_its_ranks(tmp_path):
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts/run_distribute_train.sh").write_text("printf '%s ' \"$@\"; echo\n")
    doubles = {
        "scontrol": 'echo "$*" >&2; printf "node-a\\nnode-b\\n"',
        "srun": 'while [[ $1 == --* ]]; do shift; done; for n in 0 1; do SLURM_NODEID=$n "$@"; done',
    }
    for name, script in doubles.items():
        (tmp_path / name).write_text(f"#!/usr/bin/env bash\n{script}\n")
        (tmp_path / name).chmod(0o755)
    job = {"SLURM_JOB_NODELIST": "node-[a-b]", "SLURM_JOB_ID": "4000123", "SLURM_JOB_NUM_NODES": "2"}
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    run = subprocess.run(
        ["bash", str(SBATCH), "Ascend", "8", "a work", "mplab"],
        cwd=tmp_path,
        env={**os.environ, **job, "PATH": path},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0 and run.stderr == "show hostnames node-[a-b]\n"
    common = "--worker_num=16 --master_addr=node-a --master_port=20123 Ascend 8 a work mplab "
    assert run.stdout.splitlines() == [f"--node_rank={number} {common}" for number in (0, 1)]


def test_slurm_usage():
    run = subprocess.run(["bash", str(SBATCH), "Ascend"], capture_output=True, text=True)
    assert run.returncode == 2 and run.stderr.startswith("Usage: sbatch --nodes=2 scripts/slurm_train.sbatch DEVICE")


def modelarts(*arguments, **variables):
    words = [sys.executable, str(MODELARTS), *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, env={**os.environ, **variables}, timeout=300)


def test_modelarts_copies_trains_and_copies_back(tmp_path):
    root = tmp_path / "bucket"
    root.mkdir()
    make_work(root)
    (tmp_path / "moxing.py").write_text(MOXING)
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    urls = ["--data_url=obs://work", "--train_url=obs://results/"]
    train = ["-c", root / "tiny.yaml", "--stage", "fine", "--device", "CPU", "stages.fine.train.epochs=1"]
    run = modelarts(*urls, "--work", tmp_path / "cache/work", *train, PYTHONPATH=path, MOXING_ROOT=str(root))
    assert run.returncode == 0, run.stderr
    assert (root / "results/fold0/fine/best.ckpt").exists() and (root / "results/fold0/run.json").exists()
    assert len((root / "copies").read_text().splitlines()) == 2
    again = modelarts(*urls, "--work", tmp_path / "cache/work", *train, PYTHONPATH=path, MOXING_ROOT=str(root))
    assert again.returncode == 2 and "--resume" in again.stderr  # the second process of a machine copies no data
    assert [line.split()[0] for line in (root / "copies").read_text().splitlines()].count("obs://work") == 1


def test_modelarts_refuses_in_one_line(tmp_path):
    (tmp_path / "file").touch()
    for data, work, fault in (
        ("obs://bucket/work", tmp_path / "work", "expected a folder where there is no moxing"),
        (tmp_path, tmp_path, "expected an empty folder"),
    ):
        run = modelarts(f"--data_url={data}", "--train_url=x", "--work", work, "-c", "mplab")
        assert run.returncode == 2 and run.stderr.count("\n") == 1 and fault in run.stderr, run.stderr
