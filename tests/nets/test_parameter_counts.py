"""Parameter counts against the layer tables of the papers, and the totals their authors publish."""
from __future__ import annotations

import pytest

from kidneyseg.nets import NETWORKS

# One row per layer: (input channels, output channels, kernel length, bias?); all kernels are squares or cubes.
UP = 2
UNET3D = [  # Cicek 2016, figure 2; three colour channels in, three classes out
    (3, 32, 3, True), (32, 64, 3, True), (64, 64, 3, True), (64, 128, 3, True),
    (128, 128, 3, True), (128, 256, 3, True), (256, 256, 3, True), (256, 512, 3, True),
    (512, 512, UP, False), (768, 256, 3, True), (256, 256, 3, True),
    (256, 256, UP, False), (384, 128, 3, True), (128, 128, 3, True),
    (128, 128, UP, False), (192, 64, 3, True), (64, 64, 3, True), (64, 3, 1, True),
]
UNET2D = [  # Ronneberger 2015, figure 1
    (1, 64, 3, True), (64, 64, 3, True), (64, 128, 3, True), (128, 128, 3, True), (128, 256, 3, True),
    (256, 256, 3, True), (256, 512, 3, True), (512, 512, 3, True), (512, 1024, 3, True), (1024, 1024, 3, True),
    (1024, 512, UP, True), (1024, 512, 3, True), (512, 512, 3, True), (512, 256, UP, True), (512, 256, 3, True),
    (256, 256, 3, True), (256, 128, UP, True), (256, 128, 3, True), (128, 128, 3, True), (128, 64, UP, True),
    (128, 64, 3, True), (64, 64, 3, True), (64, 2, 1, True),
]
VNET3D = [  # Milletari 2016, figure 2: convolutions, then the changes of scale
    (1, 16, 5, True), *[(32, 32, 5, True)] * 2, *[(64, 64, 5, True)] * 3, *[(128, 128, 5, True)] * 3,
    *[(256, 256, 5, True)] * 3, *[(256, 256, 5, True)] * 3, *[(128, 128, 5, True)] * 3, *[(64, 64, 5, True)] * 2,
    (32, 32, 5, True),
    (16, 32, UP, True), (32, 64, UP, True), (64, 128, UP, True), (128, 256, UP, True),
    (256, 128, UP, True), (256, 64, UP, True), (128, 32, UP, True), (64, 16, UP, True), (32, 2, 1, True),
]
UNETPP = [  # Zhou 2020, figure 1: five encoder levels, ten nodes, one 1 x 1 head
    (1, 32, 3, True), (32, 32, 3, True), (32, 64, 3, True), (64, 64, 3, True),
    (64, 128, 3, True), (128, 128, 3, True), (128, 256, 3, True), (256, 256, 3, True),
    (256, 512, 3, True), (512, 512, 3, True),
    *[(64, 32, UP, True), (128, 64, UP, True), (256, 128, UP, True), (512, 256, UP, True)],
    *[(64, 32, 3, True), (32, 32, 3, True), (128, 64, 3, True), (64, 64, 3, True)],
    *[(256, 128, 3, True), (128, 128, 3, True), (512, 256, 3, True), (256, 256, 3, True)],
    *[(64, 32, UP, True), (128, 64, UP, True), (256, 128, UP, True)],
    *[(96, 32, 3, True), (32, 32, 3, True), (192, 64, 3, True), (64, 64, 3, True)],
    *[(384, 128, 3, True), (128, 128, 3, True)],
    *[(64, 32, UP, True), (128, 64, UP, True)],
    *[(128, 32, 3, True), (32, 32, 3, True), (256, 64, 3, True), (64, 64, 3, True)],
    *[(64, 32, UP, True), (160, 32, 3, True), (32, 32, 3, True)],
    (32, 1, 1, True),
]
UNET3PLUS_BODY = [  # Huang 2020, figure 1: encoder, then per decoder node five reductions to 64 and a fusion of 320
    (3, 64, 3, True), (64, 64, 3, True), (64, 128, 3, True), (128, 128, 3, True), (128, 256, 3, True),
    (256, 256, 3, True), (256, 512, 3, True), (512, 512, 3, True), (512, 1024, 3, True), (1024, 1024, 3, True),
    *[(channels, 64, 3, True) for channels in (64, 128, 256, 512, 1024)], (320, 320, 3, True),
    *[(channels, 64, 3, True) for channels in (64, 128, 256, 320, 1024)], (320, 320, 3, True),
    *[(channels, 64, 3, True) for channels in (64, 128, 320, 320, 1024)], (320, 320, 3, True),
    *[(channels, 64, 3, True) for channels in (64, 320, 320, 320, 1024)], (320, 320, 3, True),
]
UNET3PLUS_HEAD = [(320, 1, 3, True)]


def total(table: list[tuple[int, int, int, bool]], dims: int) -> int:
    return sum(before * after * kernel**dims + after * bias for before, after, kernel, bias in table)


def count(name: str, in_channels: int, classes: int, norm: str | None) -> int:
    return sum(p.size for p in NETWORKS[name](in_channels, classes, norm=norm).trainable_params())


@pytest.mark.parametrize("name, table, dims, published", [
    ("unet3d", UNET3D, 3, 19_069_955),  # section 2 of the paper
    ("unet2d", UNET2D, 2, 31_030_658),  # the authors' network, 31.0 M
    ("unetpp", UNETPP, 2, 9_041_601),   # 9.04 M in table 3 of the paper
])
def test_published_totals(name, table, dims, published):
    assert total(table, dims) == published
    in_channels, classes = table[0][0], table[-1][1]
    assert count(name, in_channels, classes, norm=None) == published


def test_vnet():
    # One slope per channel of every convolution.
    prelu = 16 + 2 * 32 + 3 * 64 + 3 * 128 + 3 * 256 + 3 * 256 + 3 * 128 + 2 * 64 + 32
    prelu_at_scale_changes = (32 + 64 + 128 + 256) + (128 + 64 + 32 + 16)
    assert count("vnet3d", 1, 2, norm=None) == total(VNET3D, 3) + prelu + prelu_at_scale_changes


def test_unet3plus():
    normalised = sum(after for _, after, _, _ in UNET3PLUS_BODY)
    with_biases = total(UNET3PLUS_BODY + UNET3PLUS_HEAD, 2) + 2 * normalised
    assert with_biases == 26_971_777  # the paper's 26.97 M; its convolutions keep the biases that batch norm takes away
    assert count("unet3plus", 3, 1, norm="batch") == with_biases - normalised


def test_batch_norm_trades_each_bias_for_a_scale_and_a_shift():
    normalised = sum(after for _, after, kernel, _ in UNET3D if kernel == 3)
    assert count("unet3d", 3, 3, norm="batch") == 19_069_955 + normalised
