"""Operators of MindIR graphs that Ascend 310 and 310P support according to public documents. Not tested on hardware.

- Ascend 310: column "Ascend (Ascend310)" of MindSpore Lite's operator list,
  https://www.mindspore.cn/lite/docs/en/r1.6/operator_list_lite.html. It has no 3-D convolution, and up-sampling only
  by nearest neighbours. MindSpore Lite may run operators that are not in the list on the CPU.
- Ascend 310P (Atlas inference series): CANN's list of ONNX operators for ATC,
  https://www.hiascend.com/doc_center/source/zh/canncommercial/5046/reference/fwoperatorlist/operatorlist_0071.html,
  with the corresponding ONNX operators. It does not mention 3-D convolution: 310P is not in the product tables of
  CANN's Conv3D and Conv3DV2 (https://gitcode.com/cann/ops-nn, conv/conv3d, conv/conv3d_v2), and a user reported that it
  is missing (https://github.com/vllm-project/vllm-ascend/issues/5017); the table of aclnnConvolution has both.
"""

from __future__ import annotations

from collections.abc import Iterable

BOTH = frozenset(
    {
        "Add",
        "AvgPool",
        "BatchNorm",
        "BiasAdd",
        "Cast",
        "Concat",
        "Conv2D",
        "Conv2DTranspose",
        "Div",
        "MaxPool",
        "Maximum",
        "Mul",
        "PReLU",
        "Pad",
        "ReLU",
        "ReduceMean",
        "Reshape",
        "Round",
        "Sigmoid",
        "Softmax",
        "Sqrt",
        "Square",
        "Sub",
    }
)
LISTED = {
    "Ascend 310": BOTH,
    "310P": BOTH | {"GroupNorm", "ResizeBilinearV2", "Tile"},
}  # by InstanceNormalization, Resize, Tile
MISSING = {"Ascend 310": frozenset(), "310P": frozenset({"Conv3D", "Conv3DTranspose"})}


def where_it_runs(operators: Iterable[str]) -> str:
    """Describe in one line, for each chip, which of these MindSpore operators are missing and which are unknown."""
    kinds = sorted(set(operators))
    return "; ".join(f"{chip}: {_verdict(kinds, LISTED[chip], MISSING[chip])}" for chip in LISTED)


def _verdict(kinds: list[str], listed: frozenset[str], missing: frozenset[str]) -> str:
    parts = [
        f"{word} {', '.join(names)}"
        for word, names in (
            ("documented without", [kind for kind in kinds if kind in missing]),
            ("not known of", [kind for kind in kinds if kind not in listed | missing]),
        )
        if names
    ]
    return ", ".join(parts) or "all operators documented"
