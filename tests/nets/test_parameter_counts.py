"""Parameter counts against the layer tables of the papers, and the totals their authors publish."""

from __future__ import annotations

import pytest

from kidneyseg.nets import NETWORKS
from kidneyseg.nets.resnet import ResNet34

# One row per layer: (input channels, output channels, kernel length, bias?); all kernels are squares or cubes.
UP = 2
UNET3D = [  # Cicek 2016, figure 2; three colour channels in, three classes out
    (3, 32, 3, True),
    (32, 64, 3, True),
    (64, 64, 3, True),
    (64, 128, 3, True),
    (128, 128, 3, True),
    (128, 256, 3, True),
    (256, 256, 3, True),
    (256, 512, 3, True),
    (512, 512, UP, False),
    (768, 256, 3, True),
    (256, 256, 3, True),
    (256, 256, UP, False),
    (384, 128, 3, True),
    (128, 128, 3, True),
    (128, 128, UP, False),
    (192, 64, 3, True),
    (64, 64, 3, True),
    (64, 3, 1, True),
]
UNET2D = [  # Ronneberger 2015, figure 1
    (1, 64, 3, True),
    (64, 64, 3, True),
    (64, 128, 3, True),
    (128, 128, 3, True),
    (128, 256, 3, True),
    (256, 256, 3, True),
    (256, 512, 3, True),
    (512, 512, 3, True),
    (512, 1024, 3, True),
    (1024, 1024, 3, True),
    (1024, 512, UP, True),
    (1024, 512, 3, True),
    (512, 512, 3, True),
    (512, 256, UP, True),
    (512, 256, 3, True),
    (256, 256, 3, True),
    (256, 128, UP, True),
    (256, 128, 3, True),
    (128, 128, 3, True),
    (128, 64, UP, True),
    (128, 64, 3, True),
    (64, 64, 3, True),
    (64, 2, 1, True),
]
VNET3D = [  # Milletari 2016, figure 2: convolutions, then the changes of scale
    (1, 16, 5, True),
    *[(32, 32, 5, True)] * 2,
    *[(64, 64, 5, True)] * 3,
    *[(128, 128, 5, True)] * 3,
    *[(256, 256, 5, True)] * 3,
    *[(256, 256, 5, True)] * 3,
    *[(128, 128, 5, True)] * 3,
    *[(64, 64, 5, True)] * 2,
    (32, 32, 5, True),
    (16, 32, UP, True),
    (32, 64, UP, True),
    (64, 128, UP, True),
    (128, 256, UP, True),
    (256, 128, UP, True),
    (256, 64, UP, True),
    (128, 32, UP, True),
    (64, 16, UP, True),
    (32, 2, 1, True),
]
UNETPP = [  # Zhou 2020, figure 1: five encoder levels, ten nodes, one 1 x 1 head
    (1, 32, 3, True),
    (32, 32, 3, True),
    (32, 64, 3, True),
    (64, 64, 3, True),
    (64, 128, 3, True),
    (128, 128, 3, True),
    (128, 256, 3, True),
    (256, 256, 3, True),
    (256, 512, 3, True),
    (512, 512, 3, True),
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
    (3, 64, 3, True),
    (64, 64, 3, True),
    (64, 128, 3, True),
    (128, 128, 3, True),
    (128, 256, 3, True),
    (256, 256, 3, True),
    (256, 512, 3, True),
    (512, 512, 3, True),
    (512, 1024, 3, True),
    (1024, 1024, 3, True),
    *[(channels, 64, 3, True) for channels in (64, 128, 256, 512, 1024)],
    (320, 320, 3, True),
    *[(channels, 64, 3, True) for channels in (64, 128, 256, 320, 1024)],
    (320, 320, 3, True),
    *[(channels, 64, 3, True) for channels in (64, 128, 320, 320, 1024)],
    (320, 320, 3, True),
    *[(channels, 64, 3, True) for channels in (64, 320, 320, 320, 1024)],
    (320, 320, 3, True),
]
UNET3PLUS_HEAD = [(320, 1, 3, True)]
RESUNET3D = [  # as ResUNet's docstring has it; four outputs of two classes
    (1, 16, 3, True),
    (16, 16, 3, True),
    (1, 16, 1, True),
    *[(32, 32, 3, True)] * 2,
    *[(64, 64, 3, True)] * 2,
    *[(128, 128, 3, True)] * 2,
    *[(128, 128, 3, True)] * 2,
    (128, 64, 3, True),
    (64, 64, 3, True),
    (64, 32, 3, True),
    (32, 32, 3, True),
    (32, 16, 3, True),
    (16, 16, 3, True),
    *[(channels, 2, 1, True) for channels in (16, 32, 64, 128)],
]
RESUNET3D_SCALES = [
    (16, 32, UP, True),
    (32, 64, UP, True),
    (64, 128, UP, True),
    (128, 64, UP, True),
    (64, 32, UP, True),
    (32, 16, UP, True),
]
ISENSEE3D = [  # Isensee 2017, figure 1, with the localisation modules and segmentation layers of Chen's version
    (1, 16, 3, True),
    *[(16, 16, 3, True)] * 2,
    (16, 32, 3, True),
    *[(32, 32, 3, True)] * 2,
    (32, 64, 3, True),
    *[(64, 64, 3, True)] * 2,
    (64, 128, 3, True),
    *[(128, 128, 3, True)] * 2,
    (128, 256, 3, True),
    *[(256, 256, 3, True)] * 2,
    (256, 128, 3, True),
    (256, 128, 3, True),
    (128, 128, 1, True),
    (128, 64, 3, True),
    (128, 64, 3, True),
    (64, 64, 1, True),
    (64, 32, 3, True),
    (64, 32, 3, True),
    (32, 32, 1, True),
    (32, 16, 3, True),
    (32, 32, 3, True),
    (64, 3, 3, True),
    (32, 3, 3, True),
    (32, 3, 3, True),
]


def total(table: list[tuple[int, int, int, bool]], dims: int) -> int:
    return sum(before * after * kernel**dims + after * bias for before, after, kernel, bias in table)


def count(name: str, in_channels: int, classes: int, norm: str | None, **options: bool) -> int:
    return sum(p.size for p in NETWORKS[name](in_channels, classes, norm=norm, **options).trainable_params())


@pytest.mark.parametrize(
    "name, table, dims, published",
    [
        ("unet3d", UNET3D, 3, 19_069_955),  # section 2 of the paper
        ("unet2d", UNET2D, 2, 31_030_658),  # the authors' network, 31.0 M
        ("unetpp", UNETPP, 2, 9_041_601),  # 9.04 M in table 3 of the paper
    ],
)
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


RESNET34 = 21_797_672 - 513_000  # torchvision's, without the classifier of 1000 classes


def test_resnet34():
    assert sum(p.size for p in ResNet34(3).trainable_params()) == RESNET34


def test_unet_resnet34():
    head_of_kernel_3 = 16 * 3 * 3 + 1
    published = 24_436_369  # segmentation_models.pytorch, Unet("resnet34", in_channels=3, classes=1)
    assert count("unet_resnet34", 3, 1, norm="batch") == published - head_of_kernel_3 + 16 + 1


def test_deeplabv3plus():
    pyramid = [(512, 256, 1), (512, 256, 3), (512, 256, 3), (512, 256, 3), (5 * 256, 256, 1)]
    decoder = [(64, 48, 1), (256 + 48, 256, 3), (256, 256, 3)]
    # Every convolution has gamma and beta but the one on the mean, which has a bias, and the classifier.
    normalised = sum(before * after * kernel**2 + 2 * after for before, after, kernel in pyramid + decoder)
    mean, classifier = (512 + 1) * 256, (256 + 1) * 4
    assert count("deeplabv3plus", 3, 4, norm="batch") == RESNET34 + normalised + mean + classifier


def test_ms_vnet25d():
    # Before, after, kernel; all with bias. Prelu: one slope per channel of every convolution of V-Net.
    encoder = [
        (5, 16, 5),
        (48, 32, 5),
        (32, 32, 5),
        (80, 64, 5),
        *[(64, 64, 5)] * 2,
        (144, 128, 5),
        *[(128, 128, 5)] * 2,
        (272, 256, 3),
        *[(256, 256, 3)] * 2,
    ]
    decoder = [(32, 32, 5), *[(64, 64, 5)] * 2, *[(128, 128, 5)] * 3, *[(256, 256, 5)] * 3]
    scales = [
        (16, 32, 2),
        (32, 64, 2),
        (64, 128, 2),
        (128, 256, 2),
        (64, 16, 2),
        (128, 32, 2),
        (256, 64, 2),
        (256, 128, 2),
    ]
    images = [(5, 16, 3)] * 4
    with_slopes = encoder + decoder + scales + images
    squeeze = [
        (16, 4, 1),
        (4, 16, 1),
        (32, 4, 1),
        (4, 32, 1),
        (64, 4, 1),
        (4, 64, 1),
        (128, 8, 1),
        (8, 128, 1),
        (256, 16, 1),
        (16, 256, 1),
    ]
    gates = [(64, 8, 1), (8, 1, 1), (128, 16, 1), (16, 1, 1), (256, 32, 1), (32, 1, 1), (256, 64, 1), (64, 1, 1)]
    from_skip = sum(skip * skip // 2 * 2**2 for skip in (16, 32, 64, 128))
    others = squeeze + gates + [(5, 16, 1), (32, 2, 1)]
    expected = sum(before * after * kernel**2 + after for before, after, kernel in with_slopes + others)
    expected += sum(after for _, after, _ in with_slopes) + from_skip
    assert count("ms_vnet25d", 5, 2, norm=None) == expected


def test_residual_unet3d_has_a_projection_per_level():
    projections = [(3, 64), (64, 128), (128, 256), (256, 512), (768, 256), (384, 128), (192, 64)]
    added = sum(before * after + after for before, after in projections)
    assert count("unet3d", 3, 3, norm=None, residual=True) == 19_069_955 + added


def test_attention_unet3d_has_a_gate_per_skip():
    added = 0
    for skip, signal in [(64, 128), (128, 256), (256, 512)]:
        middle = skip // 2
        added += skip * middle * 2**3 + (signal * middle + middle) + (middle + 1)
    assert count("unet3d", 3, 3, norm=None, attention=True) == 19_069_955 + added


def test_resunet():
    expected = total(RESUNET3D + RESUNET3D_SCALES, 3)
    assert count("resunet3d", 1, 2, norm=None, deep_supervision=True) == expected
    side_outputs = sum(channels * 2 + 2 for channels in (32, 64, 128))
    assert count("resunet3d", 1, 2, norm=None) == expected - side_outputs
    # Without steps along z the kernels between levels have 4 weights in the place of 8.
    flat = sum(before * after * 4 for before, after, _, _ in RESUNET3D_SCALES)
    assert count("resunet25d", 1, 2, norm=None) == expected - side_outputs - flat


def test_isensee():
    assert count("isensee3d", 1, 3, norm=None) == total(ISENSEE3D, 3)
