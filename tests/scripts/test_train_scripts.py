"""Usage and syntax of the training scripts; that ranks really train is in tests/training/test_distributed.py."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from python_double import doubled_python

ROOT = Path(__file__).parents[2]
SCRIPTS = ["run_standalone_train.sh", "run_distribute_train.sh"]
DISTRIBUTE = str(ROOT / "scripts/run_distribute_train.sh")


def bash(*arguments, **variables):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, **variables}
    return subprocess.run(["bash", *arguments], capture_output=True, text=True, env=environment, timeout=100)


@pytest.mark.parametrize("name", SCRIPTS)
def test_usage_without_arguments(name):
    run = bash(str(ROOT / "scripts" / name))
    assert run.returncode == 2 and run.stderr.startswith(f"Usage: bash scripts/{name} DEVICE_TARGET")


@pytest.mark.parametrize("name", SCRIPTS)
def test_syntax(name):
    assert bash("-n", str(ROOT / "scripts" / name)).returncode == 0


def test_number_of_devices_is_checked():
    assert bash(str(ROOT / "scripts/run_distribute_train.sh"), "CPU", "none", "work").returncode == 2


@pytest.mark.parametrize(
    "arguments, fault",
    [
        (["--nodes=2", "CPU", "2", "work"], "--nodes: no such option"),
        (["--worker_num"], "--worker_num: expected a value"),
        (["--worker_num=two", "CPU", "2", "work"], "--worker_num=two: expected a number"),
        (["--worker_num=3", "CPU", "2", "work"], "--worker_num=3: expected a multiple of DEVICE_NUM, 2"),
        (["--worker_num=0", "CPU", "2", "work"], "--worker_num=0: expected a multiple of DEVICE_NUM, 2"),
        (["--worker_num=4", "CPU", "2", "work"], "expected --node_rank and --master_addr, too"),
        (["--worker_num=4", "--node_rank=1", "CPU", "2", "work"], "expected --node_rank and --master_addr, too"),
        (["--node_rank", "1", "CPU", "2", "work"], "--node_rank=1: expected a number below 1"),
        (["--rank_table_file=table.json", "GPU", "2", "work"], "expected DEVICE_TARGET Ascend"),
        (["--rank_table_file=t", "--bind_core=True", "Ascend", "2", "work"], "no other option than --node_rank"),
    ],
)
def test_options_are_checked(arguments, fault):
    run = bash(DISTRIBUTE, *arguments)
    assert run.returncode == 2 and run.stderr.count("\n") == 1 and fault in run.stderr, run.stderr


@pytest.mark.parametrize("count", ["SLURM_STEP_NUM_TASKS", "OMPI_COMM_WORLD_SIZE"])
def test_several_launchers_are_told_apart_or_refused(count):
    run = bash(DISTRIBUTE, "CPU", "2", "work", **{count: "2"})
    assert run.returncode == 2 and "expected --node_rank" in run.stderr


def msrun_arguments(folder: Path, *arguments: str, **variables: str) -> list[str]:
    saved = folder / "arguments"
    double = doubled_python(folder / "bin", "mindspore.parallel.cluster.run", f'printf "%s\\n" "$@" >{saved}; exit')
    run = bash(DISTRIBUTE, *arguments, **double, **variables)
    assert run.returncode == 0, run.stderr
    return saved.read_text().splitlines()[2:]


def test_one_machine_needs_no_option(tmp_path):
    found = msrun_arguments(tmp_path, "CPU", "2", str(tmp_path / "work"), "mplab", "fine", "1", "--resume")
    options, command = found[: found.index("--")], found[found.index("--") + 1 :]
    assert {"--worker_num=2", "--local_worker_num=2", "--master_addr=127.0.0.1", "--bind_core=False"} < set(options)
    assert command[1:] == f"-c mplab --work {tmp_path}/work --stage fine --fold 1 --device CPU --resume".split()


def test_several_machines_and_cores_are_handed_to_msrun(tmp_path):
    options = ["--worker_num=16", "--master_addr=10.0.0.1", "--master_port=9000", "--bind_core=True"]
    arguments = [*options, "--node_rank", "1", "Ascend", "8", str(tmp_path / "cohort")]
    found = msrun_arguments(tmp_path, *arguments, RANK_TABLE_FILE="not for msrun")
    assert {*options, "--local_worker_num=8", "--node_rank=1"} < set(found)
    assert f"--log_dir={tmp_path / 'cohort'}/fold0/all/msrun/node1" in found


def test_standalone_hands_over_every_argument(tmp_path):
    run = bash(str(ROOT / "scripts/run_standalone_train.sh"), "CPU", str(tmp_path), "mplab", "coarse", "3", "--resume")
    assert run.returncode == 2 and "kidneyseg prepare" in run.stderr and str(tmp_path) in run.stderr
    run = bash(str(ROOT / "scripts/run_standalone_train.sh"), "CPU", str(tmp_path))
    assert run.returncode == 2 and str(tmp_path / "recipe.yaml") in run.stderr


def test_standalone_refuses_a_card_that_is_no_number(tmp_path):
    (tmp_path / "splits.json").write_text('{"seed": 1, "folds": [{"train": ["a"], "val": ["b"]}]}')
    run = bash(str(ROOT / "scripts/run_standalone_train.sh"), "CPU", str(tmp_path), "mplab_small", DEVICE_ID="first")
    assert run.returncode == 2 and run.stderr.count("\n") == 1 and "DEVICE_ID: expected" in run.stderr, run.stderr


TABLE = """{"version": "1.0", "server_count": "2", "status": "completed", "server_list": [
  {"server_id": "10.0.0.1", "device": [{"device_id": "4", "device_ip": "192.1.0.6", "rank_id": "0"},
                                       {"device_id": "5", "device_ip": "192.2.0.6", "rank_id": "1"}]},
  {"server_id": "10.0.0.2", "device": [{"device_id": "0", "device_ip": "192.1.0.7", "rank_id": "2"},
                                       {"device_id": "1", "device_ip": "192.2.0.7", "rank_id": "3"}]}]}"""
# Stands in for train.py beside a copy of the script.
RANK = """
import os, sys, time
print([os.environ.get(name) for name in ("RANK_TABLE_FILE", "RANK_SIZE", "RANK_ID", "DEVICE_ID")], sys.argv[-1])
if "fail" in sys.argv and os.environ["RANK_ID"] == "3":
    sys.exit("error: rank 3 failed")
time.sleep(60 if "fail" in sys.argv else 0)
"""


def with_rank_table(folder: Path, *arguments: str, **variables: str):
    (folder / "scripts").mkdir()
    for name in ("run_distribute_train.sh", "setup_env.sh"):
        shutil.copy(ROOT / "scripts" / name, folder / "scripts")
    (folder / "train.py").write_text(RANK)
    (folder / "table.json").write_text(TABLE)
    return bash(str(folder / "scripts/run_distribute_train.sh"), *arguments, **variables)


@pytest.mark.parametrize("given", ["option", "variable"])
def test_a_rank_table_starts_a_process_per_device(given, tmp_path):
    table = tmp_path / "table.json"
    options = [f"--rank_table_file={table}"] if given == "option" else []
    variables = {} if given == "option" else {"RANK_TABLE_FILE": str(table)}
    run = with_rank_table(
        tmp_path, *options, "--node_rank=1", "Ascend", "2", str(tmp_path / "work"), "mplab", "fine", "0", **variables
    )
    assert run.returncode == 0, run.stderr
    logs = tmp_path / "work/fold0/fine/msrun/node1"
    for rank, device in (("2", "0"), ("3", "1")):
        text = (logs / f"worker_{rank}.log").read_text()
        assert text.startswith(str([str(table), "4", rank, device])) and text.endswith(" Ascend\n")
    assert "'2', '0'" in run.stdout  # that of this machine's first rank


def test_a_rank_that_fails_ends_those_of_a_rank_table(tmp_path):
    table = ["--rank_table_file", str(tmp_path / "table.json"), "--node_rank=1"]
    run = with_rank_table(tmp_path, *table, "Ascend", "2", str(tmp_path / "work"), "mplab", "fine", "0", "fail")
    assert run.returncode == 1 and "rank 3 failed" in run.stderr and "worker_2" not in run.stderr


@pytest.mark.parametrize(
    "options, devices, fault",
    [
        ([], "2", "expected 2 devices, or --node_rank, found 4 devices"),
        (["--node_rank=2"], "2", "expected 2 devices of machine 2, found 2 machines"),
        (["--node_rank=1"], "8", "expected 8 devices of machine 1, found 2"),
    ],
)
def test_a_rank_table_of_other_machines_is_refused(options, devices, fault, tmp_path):
    table = f"--rank_table_file={tmp_path}/table.json"
    run = with_rank_table(tmp_path, table, *options, "Ascend", devices, str(tmp_path / "work"))
    assert run.returncode == 2 and run.stderr.count("\n") == 1 and fault in run.stderr, run.stderr
    assert not (tmp_path / "work").exists()
