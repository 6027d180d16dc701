"""Kidney and kidney-tumour segmentation on CT with MindSpore."""

import os

__version__ = "0.1.0"
GIVEN = dict(os.environ)  # as the user has it: see environment.py
CAP = "ONEDNN_MAX_CPU_ISA"

# The oneDNN inside MindSpore 2.9+ falls back to its reference convolution (0.7 GFLOP/s) on AVX-512 machines unless it
# is kept to AVX2 (25 GFLOP/s). oneDNN reads this once, so it must be set before MindSpore is imported.
os.environ.setdefault(CAP, "AVX2")
# MindSpore's warnings about missing accelerators would bury ours; 3 = errors only.
os.environ.setdefault("GLOG_v", "3")
