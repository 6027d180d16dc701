"""What this machine's CPU is called and can do."""

from __future__ import annotations

import platform
from functools import cache
from pathlib import Path

from kidneyseg.system.cores import thread_count

FACTS = Path("/proc/cpuinfo")  # of Linux, where alone the kernels run
SETS = {
    "avx2": "AVX2",
    "avx_vnni": "AVX-VNNI",
    "avx512f": "AVX-512",
    "avx512_vnni": "AVX-512 VNNI",
    "avx512_bf16": "AVX-512 BF16",
    "avx512_fp16": "AVX-512 FP16",
    "amx_int8": "AMX INT8",
    "amx_bf16": "AMX BF16",
}


def processor() -> str:
    """One line: name, threads that we take, instruction sets that matter to networks."""
    name = _facts().get("model name") or platform.processor() or platform.machine()
    flags = _flags()
    sets = ", ".join(text for flag, text in SETS.items() if flag in flags)
    return f"{name}, {thread_count()} threads: {sets or 'instruction sets unknown'}"


def has_amx() -> bool:
    """Whether bfloat16 is faster than float32 in our kernels."""
    return "amx_bf16" in _flags()


def multiplies_bfloat16() -> bool:
    """Whether the CPU has instructions for it: then PyTorch is faster with it."""
    return not _flags().isdisjoint({"avx512_bf16", "amx_bf16"})


def _flags() -> set[str]:
    return set(_facts().get("flags", "").split())


@cache
def _facts() -> dict[str, str]:
    """Of the first core, by the kernel's names."""
    if not FACTS.exists():
        return {}
    lines = (line.partition(":") for line in FACTS.read_text("utf-8").partition("\n\n")[0].splitlines())
    return {key.strip(): value.strip() for key, _, value in lines}
