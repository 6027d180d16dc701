"""What the benchmark says of the machine."""

import pytest

from kidneyseg.cpu_kernels import processor as module
from kidneyseg.system.cores import thread_count

CORE = "processor\t: {}\nmodel name\t: Some CPU\nflags\t\t: fpu avx2 {}\n\n"


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """machine(flags) is this one from then on."""

    def use(flags):
        (tmp_path / "cpuinfo").write_text("".join(CORE.format(core, flags) for core in range(2)))
        monkeypatch.setattr(module, "FACTS", tmp_path / "cpuinfo")
        module._facts.cache_clear()

    yield use
    module._facts.cache_clear()


@pytest.mark.parametrize(
    "flags, sets, amx, bfloat16",
    [
        ("", "AVX2", False, False),
        ("avx512f", "AVX2, AVX-512", False, False),
        ("avx512f avx512_bf16", "AVX2, AVX-512, AVX-512 BF16", False, True),
        ("avx512f avx512_bf16 amx_bf16", "AVX2, AVX-512, AVX-512 BF16, AMX BF16", True, True),
    ],
)
def test_name_and_instruction_sets(machine, flags, sets, amx, bfloat16):
    machine(flags)
    assert module.processor() == f"Some CPU, {thread_count()} threads: {sets}"
    assert (module.has_amx(), module.multiplies_bfloat16()) == (amx, bfloat16)


def test_where_there_is_no_such_file(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "FACTS", tmp_path / "none")
    module._facts.cache_clear()
    assert "unknown" in module.processor() and not module.has_amx()
    module._facts.cache_clear()
