"""The palette of Okabe and Ito, suitable for colour-blind readers, for pictures, curves and TensorBoard."""

from __future__ import annotations

ORANGE, SKY_BLUE, GREEN, YELLOW = "#E69F00", "#56B4E9", "#009E73", "#F0E442"
BLUE, VERMILION, PURPLE = "#0072B2", "#D55E00", "#CC79A7"

KIDNEY, TUMOUR, CYST = SKY_BLUE, ORANGE, PURPLE
LINES = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY_BLUE)  # of curves, in order
