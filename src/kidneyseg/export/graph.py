"""An exported graph as its user sees it: what goes in, what comes out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kidneyseg.recipe import Stage

Shape = tuple["int | None", ...]


@dataclass(frozen=True)
class Port:
    """An input or output of a graph: its name in the file, and its shape with None where any length goes."""

    name: str
    shape: Shape


@dataclass(frozen=True)
class Graph:
    """An exported graph: float32 in, float32 out. ``format`` is MindIR or ONNX."""

    path: Path
    format: str
    input: Port
    output: Port

    @property
    def description(self) -> Path:
        """Where the JSON about it goes: ``NAME.json`` for ``NAME.mindir``, ``NAME.onnx.json`` for ``NAME.onnx``."""
        return self.path.with_suffix(".json" if self.format == "MindIR" else f"{self.path.suffix}.json")


def input_shape(stage: Stage, batch: int | None) -> Shape:
    """(N, channels, *S): what the stage's network takes; ``batch`` None leaves N open."""
    return (batch, stage.channels, *stage.sampling.window)
