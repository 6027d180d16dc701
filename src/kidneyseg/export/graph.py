"""An exported graph as its user sees it: what goes in, what comes out, what it is made of."""

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
    """How a stage is to be exported.

    Attributes:
        batch: images per call, None for any number.
        uint8: takes 8-bit images and normalises them itself; else it takes normalised float32.
        float16: convolutions compute in float16 and their weights are stored so; normalisation layers, logits and
            softmax stay float32.
    """

    batch: int | None = None
    uint8: bool = False
    float16: bool = False

    @property
    def dtype(self) -> str:
        """Of the input."""
        return "uint8" if self.uint8 else "float32"

    @property
    def precision(self) -> str:
        """What convolutions compute in."""
        return "float16" if self.float16 else "float32"


@dataclass(frozen=True)
class TensorSpec:
    """An input or output of a graph: its name in the file, its shape with None where any length goes, its dtype."""

    name: str
    shape: Shape
    dtype: str = "float32"


@dataclass(frozen=True)
class Graph:
    """An exported graph.

    Attributes:
        format: MindIR, ONNX or AIR.
        precision: what convolutions compute in: float32, float16 or int8.
        operators: how many it has of each kind, by the format's names (of AIR MindSpore's).
    """

    path: Path
    format: str
    input: TensorSpec
    output: TensorSpec
    precision: str = "float32"
    operators: Mapping[str, int] = field(default_factory=dict)

    @property
    def description(self) -> Path:
        """Where the JSON about it goes: ``NAME.json`` for ``NAME.mindir``, ``NAME.onnx.json`` for ``NAME.onnx``."""
        return self.path.with_suffix(".json" if self.format == "MindIR" else f"{self.path.suffix}.json")


def input_shape(stage: Stage, batch: Batch) -> tuple[Batch | int, ...]:
    """(N, channels, *S): what the stage's network takes; ``batch`` None leaves N open."""
    return (batch, stage.channels, *stage.window)
