"""Description of an exported graph: export options, input, output and operators."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from kidneyseg.recipe import Stage

Shape = tuple["int | None", ...]
Batch = TypeVar("Batch", bound="int | None")


@dataclass(frozen=True)
class ExportOptions:
    """Options of an export.

    Attributes:
        batch: images per call; None: any number.
        uint8: the input is the 8-bit image, which the graph normalises; otherwise it is normalised float32.
        float16: convolutions and their weights are float16; normalisation layers, logits and softmax stay float32.
    """

    batch: int | None = None
    uint8: bool = False
    float16: bool = False

    @property
    def dtype(self) -> str:
        """Number format of the input."""
        return "uint8" if self.uint8 else "float32"

    @property
    def precision(self) -> str:
        """Number format of the convolutions."""
        return "float16" if self.float16 else "float32"


@dataclass(frozen=True)
class TensorSpec:
    """An input or output of a graph: name in the file, shape with None for axes of any length, and dtype."""

    name: str
    shape: Shape
    dtype: str = "float32"


@dataclass(frozen=True)
class Graph:
    """An exported graph.

    Attributes:
        path: its file.
        format: MindIR, ONNX or AIR.
        input, output: its input and output.
        precision: number format of the convolutions: float32, float16 or int8.
        operators: name of the operator in this format (for AIR in MindSpore) -> number of such operators.
    """

    path: Path
    format: str
    input: TensorSpec
    output: TensorSpec
    precision: str = "float32"
    operators: Mapping[str, int] = field(default_factory=dict)

    @property
    def description(self) -> Path:
        """Path of its metadata: ``NAME.json`` for ``NAME.mindir``, ``NAME.onnx.json`` for ``NAME.onnx``."""
        return self.path.with_suffix(".json" if self.format == "MindIR" else f"{self.path.suffix}.json")


def input_shape(stage: Stage, batch: Batch) -> tuple[Batch | int, ...]:
    """Return the input shape (N, channels, *S) of the stage's network; N is ``batch``, None for any number."""
    return (batch, stage.channels, *stage.window)
