"""Fast CPU kernels in the place of MindSpore's: the same networks, parameters and checkpoints, but faster.

    network = cpu_kernels.accelerate(network)   # before the training step or the first prediction

MindSpore's own convolutions, normalisations and poolings are slow on x86-64 (and ``nn.InstanceNorm3d`` is missing). The
kernels in ``source/`` are compiled at first use (build.py), offered to MindSpore as operators (operators.py,
convolution_operators.py) and made into cells (cells.py, fused_cells.py, pooling_cells.py) which take the place of a
network's cells (replace_cells.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kidneyseg.cpu_kernels.processor import has_amx
from kidneyseg.errors import InputError

if TYPE_CHECKING:
    from mindspore import nn


def available() -> bool:
    """Whether the kernels run here: Linux on x86-64 with a C++ compiler (used once). One warning says why not."""
    from kidneyseg.cpu_kernels.build import library

    return library() is not None


def has_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 faster than float32 in the kernels: it has AMX."""
    return has_amx()


def accelerate(network: nn.Cell, precision: str = "float32") -> nn.Cell:
    """Swaps the cells of ``network``, in place, for cells on the fast kernels and returns the network to use.

    Training and inference, PyNative and graph mode, one process or several. Use what is returned; it has the very same
    Parameter objects under the same names, so optimisers and checkpoints do not see the difference. Exports must be
    made from a network that was not accelerated. Where the device is not CPU, the kernels are not ``available()`` or
    the network computes in another type than float32, the network itself comes back, untouched.

    Args:
        network: any cell; those of ``kidneyseg.nets`` gain most.
        precision: "float32", or "bfloat16" to round what convolutions multiply. Sums, weights, norms and all tensors
            between cells stay float32.

    Raises:
        InputError: bfloat16 on a CPU that has no use for it, or another precision.
    """
    if precision not in ("float32", "bfloat16") or precision == "bfloat16" and not has_bfloat16():
        raise InputError(
            "train.precision",
            expected="float32, or bfloat16 on a CPU with AMX",
            found=repr(precision),
            remedy="Set train.precision=float32 for this CPU",
        )
    import mindspore as ms

    from kidneyseg.cpu_kernels import memory_pool, replace_cells

    if ms.get_context("device_target") != "CPU" or not replace_cells.is_float32(network) or not available():
        return network
    memory_pool.take_large_blocks()
    return replace_cells.accelerate(network, bfloat16=precision == "bfloat16")
