"""Up-convolution, concatenation of its features and the convolution after it as one, against PyTorch in float64."""

import mindspore as ms
import numpy as np
import pytest
from cell_comparison import randomise

from kidneyseg import cpu_kernels
from kidneyseg.cpu_kernels import operators
from kidneyseg.cpu_kernels.fused_cells import FusedUpConvolution, composition_matrix
from kidneyseg.nets.layers import blocks

pytestmark = pytest.mark.skipif(not cpu_kernels.available(), reason="no C++ compiler for the kernels")
torch = pytest.importorskip("torch")
functional = torch.nn.functional

CASES = {  # batch, channels of skip connection, below and between, outputs, lengths below, bias of the up-convolution
    "a slice": (1, 5, 12, 9, 16, (23, 31), False),
    "slices with bias": (3, 8, 24, 12, 8, (16, 18), True),
    "a thin volume": (1, 6, 16, 16, 8, (2, 41, 40), True),
    "a volume": (1, 16, 10, 16, 8, (15, 16, 15), True),
    "volumes without bias": (2, 4, 17, 9, 24, (11, 16, 27), False),
}


@pytest.fixture(autouse=True)
def pynative():
    ms.set_context(mode=ms.PYNATIVE_MODE)  # graph mode, which a test may have left, compiles what is patched here


def made(case):
    """The cell on its kernels, its parameters by name, the two inputs, and what PyTorch says."""
    batch, skip, below, between, outputs, lengths, bias = CASES[case]
    rng = np.random.default_rng(0)
    up = blocks.up_conv(len(lengths), below, between, bias=bias)
    cell = blocks.conv(len(lengths), skip + between, outputs)
    values = [randomise(one, rng) for one in (up, cell)]
    x = rng.standard_normal((batch, skip, *[2 * n for n in lengths])).astype(np.float32)
    y = rng.standard_normal((batch, below, *lengths)).astype(np.float32)
    suffix = f"{len(lengths)}d"
    up_values, own = ({name: torch.from_numpy(v).double() for name, v in one.items()} for one in values)
    upsampled = getattr(functional, f"conv_transpose{suffix}")(
        torch.from_numpy(y).double(), up_values["weight"], up_values.get("bias"), stride=2
    )
    concatenated = torch.cat((torch.from_numpy(x).double(), upsampled), 1)
    expected = getattr(functional, f"conv{suffix}")(concatenated, own["weight"], own["bias"], padding=1).numpy()
    return FusedUpConvolution(up, cell), (x, y), expected


def result(cell, inputs, *epilogue):
    parts = tuple(operators.to_channels_last()(ms.Tensor(x)) for x in inputs)
    return operators.to_channels_first()((cell.with_epilogue if epilogue else cell)(parts, *epilogue)).asnumpy()


@pytest.mark.parametrize("case", CASES)
def test_in_training_and_out_of_it(case, monkeypatch):
    cell, inputs, expected = made(case)
    np.testing.assert_allclose(result(cell.set_train(True), inputs), expected, atol=2e-5 * expected.std())
    monkeypatch.setattr(type(cell.up), "construct", lambda *_: pytest.fail("the up-convolution ran"))
    np.testing.assert_allclose(result(cell.set_train(False), inputs), expected, atol=2e-5 * expected.std())


def test_epilogue():
    cell, inputs, expected = made("slices with bias")
    scale, shift, slope = np.random.default_rng(3).uniform(0.5, 2, (3, 8)).astype(np.float32)
    bias = cell.bias.asnumpy()
    found = result(cell.set_train(False), inputs, ms.Tensor(np.stack((scale, scale * bias + shift, slope))))
    after = expected * scale[:, None, None] + shift[:, None, None]
    np.testing.assert_allclose(found, np.where(after > 0, after, slope[:, None, None] * after), atol=2e-5 * after.std())


@pytest.mark.parametrize("below, outputs, lengths", [(32, 8, (5, 6)), (8, 12, (40, 40))])
def test_few_voxels_and_odd_channels_are_not_worth_composing(below, outputs, lengths, monkeypatch):
    monkeypatch.setitem(CASES, "this", (1, 4, below, 8, outputs, lengths, True))
    cell, inputs, expected = made("this")
    monkeypatch.setattr(cell, "composed", lambda *_: pytest.fail("composed"))
    np.testing.assert_allclose(result(cell.set_train(False), inputs), expected, atol=2e-5 * expected.std())


def test_composition_takes_every_product_once_where_its_tap_looks():
    matrix = composition_matrix(1).reshape(2, 2, 3, 2)
    assert (matrix.sum((1, 3)) == 1).all()  # a voxel sees one voxel by each tap
    looks_at = [[int(np.argwhere(matrix[p, :, t])[0] @ (2, 1)) for t in range(3)] for p in range(2)]
    assert looks_at == [[0, 1, 2], [1, 2, 3]]  # fine voxels about the corner, from the coarse one before
    planar = np.einsum("pstr,quvw->pqsutvrw", matrix, matrix)
    np.testing.assert_array_equal(composition_matrix(2), planar.reshape(16, 36))
