"""Which launchers' processes are joined on which device, and that none of the others train as lone ones."""

import os
import subprocess
import sys

import mindspore as ms
import pytest
from tiny_training import make_work

from kidneyseg.errors import InputError
from kidneyseg.recipe import load_recipe
from kidneyseg.training import distributed
from kidneyseg.training.distributed import Ranks, find_launcher
from kidneyseg.training.train_stage import train_stage

MSRUN = {"MS_ROLE": "MS_WORKER", "MS_WORKER_NUM": "2", "RANK_ID": "1", "RANK_SIZE": "2", "DEVICE_ID": "1"}
OPEN_MPI = {"OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": "1", "OMPI_COMMAND": "python", "PMIX_RANK": "1"}
# What MindSpore makes of it when it is imported.
MPIRUN = {**OPEN_MPI, "RANK_ID": "1", "RANK_SIZE": "2", "DEVICE_ID": "1"}
TABLE = {"RANK_TABLE_FILE": "table.json", "RANK_ID": "1", "RANK_SIZE": "2", "DEVICE_ID": "1"}
OLD_TABLE = {"MINDSPORE_HCCL_CONFIG_PATH": "table.json", "RANK_ID": "0", "RANK_SIZE": "2", "DEVICE_ID": "0"}


@pytest.mark.parametrize(
    "variables, launcher, devices",
    [
        (MSRUN, "msrun", ["CPU", "GPU", "Ascend"]),
        (MPIRUN, "mpirun", ["GPU", "Ascend"]),
        (TABLE, "a rank table", ["Ascend"]),
        (OLD_TABLE, "a rank table", ["Ascend"]),
        ({**TABLE, "SLURM_STEP_NUM_TASKS": "2"}, "a rank table", ["Ascend"]),
    ],
)
def test_a_launcher_is_known_by_its_variables(variables, launcher, devices):
    for device in ("CPU", "GPU", "Ascend"):
        if device in devices:
            assert find_launcher(variables, device) == launcher
        else:
            with pytest.raises(InputError, match=f"joins on {device}: .*, found {launcher}"):
                find_launcher(variables, device)


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"RANK_ID": "0", "DEVICE_ID": "3"},
        {**TABLE, "RANK_ID": "0", "RANK_SIZE": "1"},
        {**OPEN_MPI, "OMPI_COMM_WORLD_SIZE": "1", "RANK_ID": "0", "RANK_SIZE": "1"},
        {"SLURM_NTASKS": "8", "SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1"},
        {"PMI_SIZE": "1", "WORLD_SIZE": "1"},
    ],
)
def test_one_process_is_alone(variables):
    assert all(find_launcher(variables, device) is None for device in ("CPU", "GPU", "Ascend"))


@pytest.mark.parametrize("device", ["CPU", "GPU", "Ascend"])
@pytest.mark.parametrize(
    "variables, named",
    [
        ({"SLURM_STEP_NUM_TASKS": "8", "SLURM_PROCID": "3"}, "SLURM_STEP_NUM_TASKS=8"),
        ({"PMI_SIZE": "4", "PMI_RANK": "0"}, "PMI_SIZE=4"),
        ({"OMPI_COMM_WORLD_SIZE": "2", "PMIX_RANK": "0", "RANK_SIZE": "2"}, "OMPI_COMM_WORLD_SIZE=2"),
        ({"WORLD_SIZE": "2", "RANK": "0"}, "WORLD_SIZE=2"),
        ({"RANK_SIZE": "8", "RANK_ID": "0"}, "RANK_SIZE=8"),
        ({"RANK_ID": "1"}, "RANK_ID=1"),
    ],
)
def test_processes_that_cannot_be_joined_are_refused(variables, named, device):
    with pytest.raises(InputError, match=f"^{named}: expected one process.*run_distribute_train.sh.*unset "):
        find_launcher(variables, device)


@pytest.mark.parametrize(
    "change", [{"RANK_ID": "", "RANK_SIZE": ""}, {"RANK_SIZE": "x"}, {"RANK_ID": "2"}, {"DEVICE_ID": ""}]
)
def test_a_rank_table_needs_its_numbers(change):
    with pytest.raises(InputError, match="^RANK_TABLE_FILE=table.json: expected with it RANK_ID, RANK_SIZE"):
        find_launcher({**TABLE, **change}, "Ascend")


@pytest.mark.parametrize("variables", [MPIRUN, TABLE])
def test_ranks_are_joined_through_mindspore(variables, monkeypatch):
    """MindSpore's own part, which needs the cards, is replaced."""
    called = []
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(distributed.devices, "use", lambda device: device)
    monkeypatch.setattr(distributed, "_die_with_parent", lambda: None)
    monkeypatch.setattr(distributed.communication, "init", lambda: called.append("init"))
    monkeypatch.setattr(distributed.communication, "get_rank", lambda: 1)
    monkeypatch.setattr(distributed.communication, "get_group_size", lambda: 2)
    monkeypatch.setattr(ms, "set_auto_parallel_context", lambda **options: called.append(options["gradients_mean"]))
    assert distributed.start("Ascend") == ("Ascend", Ranks(1, 2)) and called == ["init", True]
    monkeypatch.setattr(distributed.communication, "get_group_size", lambda: 1)  # a table of one device, say
    with pytest.raises(InputError, match="^RANK_SIZE=2: .*found 1 by "):
        distributed.start("Ascend")


def test_ranks_that_see_other_checkpoints_are_refused(tmp_path, monkeypatch):
    work = make_work(tmp_path)
    monkeypatch.setattr(Ranks, "gather", lambda self, start: [start, (1, 0)])  # another machine has one to resume
    with pytest.raises(InputError, match=r"expected the same checkpoint.*\(0, 0\), \(1, 0\)"):
        train_stage(load_recipe(tmp_path / "tiny.yaml"), "fine", work, 0, resume=True, device="CPU")
    assert not (work / "fold0").exists()


@pytest.mark.parametrize("variables", [OPEN_MPI, TABLE, {"SLURM_STEP_NUM_TASKS": "2"}])
def test_training_is_refused_in_one_line(variables, tmp_path):
    work = tmp_path / "work"
    work.mkdir()
    (work / "splits.json").write_text('{"seed": 1, "folds": [{"train": ["a"], "val": ["b"]}]}')
    words = [sys.executable, "-m", "kidneyseg", "train", "-c", "mplab_small", "--work", str(work), "--device", "CPU"]
    done = subprocess.run(words, capture_output=True, text=True, env={**os.environ, **variables})
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    assert "expected one process, or several started by what MindSpore joins on CPU: msrun, found" in done.stderr
    assert not (work / "fold0").exists()
