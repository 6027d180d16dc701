"""The benchmark compares like with like and writes what it says."""

import json

import numpy as np
import pytest

from kidneyseg import cpu_kernels
from kidneyseg.benchmark import networks
from kidneyseg.benchmark.network_cases import NETWORK_CASES, in_mindspore, in_torch
from kidneyseg.cli import main
from kidneyseg.errors import InputError


@pytest.mark.parametrize("name", NETWORK_CASES)
def test_both_frameworks_compute_the_same(name):
    torch = pytest.importorskip("torch")
    import mindspore as ms

    case = NETWORK_CASES[name]
    network, twin = in_mindspore(case).set_train(True), in_torch(case).train()
    ours, theirs = network.trainable_params(), list(twin.parameters())  # both in the order of definition
    assert [p.shape for p in ours] == [tuple(p.shape) for p in theirs]
    for mine, other in zip(ours, theirs):
        other.data = torch.from_numpy(mine.asnumpy().copy())
    x = np.random.default_rng(0).standard_normal(case.small).astype(np.float32)
    with torch.no_grad():
        expected = twin(torch.from_numpy(x.copy())).numpy()
    np.testing.assert_allclose(network(ms.Tensor(x)).asnumpy(), expected, atol=1e-3)


def test_command_writes_the_rows(tmp_path, capsys):
    file = tmp_path / "speed.json"
    arguments = ["--small", "--no-operators", "--network", "unet3plus", "--phase", "forward", "--repeats", "1"]
    assert main(["benchmark", *arguments, "--without", "pytorch-channels_last", "--json", str(file)]) == 0
    rows = json.loads(file.read_text())["rows"]
    wanted = [pair for pair in networks.runnable() if pair[0] != "pytorch-channels_last"]
    assert [(row["implementation"], row["dtype"]) for row in rows] == wanted
    for row in rows:
        assert (row["network"], row["phase"]) == ("unet3plus", "forward")
        assert row["ms"] > 0 and row["cpu_ms"] > 0 and row["peak_mib"] > 50
    assert "ratio" in capsys.readouterr().out


def test_ratio_is_that_to_the_fastest_pytorch():
    rows = [
        networks.BenchmarkRow("unet3d", "train", name, "float32", ms, ms, 2 * ms, 100.0)
        for name, ms in [("kidneyseg", 30.0), ("pytorch-plain", 60.0), ("pytorch-channels_last", 40.0)]
    ]
    lines = networks.table(rows).splitlines()[1:]
    assert [line.split()[-2] for line in lines] == ["0.75", "1.50", "1.00"]


@pytest.mark.parametrize(
    "amx, instructions, wanted",
    [
        (False, False, set()),
        (False, True, {"pytorch-plain", "pytorch-channels_last"}),
        (True, True, {"kidneyseg", "pytorch-plain", "pytorch-channels_last"}),
    ],
)
def test_bfloat16_is_measured_where_it_is_fast(monkeypatch, amx, instructions, wanted):
    monkeypatch.setattr(cpu_kernels, "available", lambda: True)
    monkeypatch.setattr(networks.util, "find_spec", lambda name: object())
    monkeypatch.setattr(cpu_kernels, "has_bfloat16", lambda: amx)
    monkeypatch.setattr(networks, "multiplies_bfloat16", lambda: instructions)
    assert {name for name, dtype in networks.runnable() if dtype == "bfloat16"} == wanted


def test_bad_input_is_said(capsys):
    assert main(["benchmark", "--repeats", "0"]) == 2
    assert "--repeats" in capsys.readouterr().err


def test_a_failing_process_is_told():
    with pytest.raises(InputError, match="benchmark, no-such-case.*(?s:.)*KeyError"):
        networks.TimedNetwork("no-such-case", "train", "kidneyseg", "float32", small=True)


def test_bfloat16_needs_amx(monkeypatch):
    monkeypatch.setattr(cpu_kernels, "has_bfloat16", lambda: False)
    with pytest.raises(InputError, match="AMX"):
        cpu_kernels.accelerate(None, precision="bfloat16")
