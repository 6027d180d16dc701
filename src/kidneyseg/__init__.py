"""Kidney and kidney-tumour segmentation on CT with MindSpore."""

import os

__version__ = "0.1.0"
CAP, CAPPED = "ONEDNN_MAX_CPU_ISA", "KIDNEYSEG_CAPPED"
# The user's environment, see environment.py. A cap that this package set in a parent process is not the user's.
GIVEN = {name: value for name, value in os.environ.items() if name != CAP or value != os.environ.get(CAPPED)}

# The oneDNN inside MindSpore 2.9+ falls back to its reference convolution (0.7 GFLOP/s) on AVX-512 machines unless it
# is limited to AVX2 (25 GFLOP/s). oneDNN reads this once, so it must be set before MindSpore is imported.
if CAP not in GIVEN:
    os.environ |= {CAP: "AVX2", CAPPED: "AVX2"}
# MindSpore's warnings about missing accelerators would hide those of this package; 3 = errors only.
os.environ.setdefault("GLOG_v", "3")
