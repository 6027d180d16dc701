"""The documentation in the docstrings of the installed MindSpore."""

import pytest

from kidneyseg.doctor.mindspore_docs import look_up, read_page

ALL = ("Ascend", "GPU", "CPU")
HALF, SINGLE = {"float16"}, {"float16", "float32"}


@pytest.mark.parametrize(
    ("operator", "target", "types"),
    [
        ("Conv3DTranspose", "Ascend", HALF),  # a list of platforms within the description of an input
        ("Conv3DTranspose", "GPU", SINGLE),
        ("Conv3D", "Ascend", HALF),  # the layer's text is stricter than the primitive's
        ("Conv3D", "CPU", SINGLE),
        ("Conv3DBackpropFilter", "Ascend", HALF),  # from the operator whose gradient it is
        ("MaxPool", "Ascend", SINGLE),
        ("MaxPool", "CPU", SINGLE | {"float64"}),
        ("BatchNorm", "Ascend", SINGLE),
        ("UpsampleTrilinear3D", "Ascend", SINGLE | {"float64"}),
        ("Softmax", "Ascend", SINGLE),
        ("Div", "Ascend", None),  # "number or bool"
        ("IsFinite", "Ascend", None),
        ("FillV2", "Ascend", {"int32", "int64"}),  # its second input may be anything
    ],
)
def test_types_of_the_first_input(operator, target, types):
    assert look_up(operator).types(target, 0) == types


@pytest.mark.parametrize(
    ("operator", "platforms"),
    [
        ("Conv3D", ALL),
        ("IsFinite", ALL),  # by the function that the primitive's text names
        ("ReluGrad", ALL),
        ("Conv3DBackpropInput", ALL),  # its own text says Ascend alone, and it runs on a CPU
        ("SplitWithSize", ()),
        ("NoSuchOperator", ()),
    ],
)
def test_platforms(operator, platforms):
    assert look_up(operator).platforms == platforms


def test_notes_on_a_device():
    assert "On Ascend dilation on depth only supports the case of 1." in look_up("Conv3D").notes("Ascend")
    assert not look_up("Conv3D").notes("CPU")


def test_a_page_is_taken_apart():
    page = read_page(
        "Made",
        """Made up.

        Note:
            - On GPU it is slow.

        Inputs:
            - **x** (Tensor) - Of shape :math:`(N, C)`. Currently it supports float16 and float32 in
              CPU and GPU, and only float16 in Ascend.
            - **size** (tuple[int]) - Of int64.
            - **y** (Union[Tensor, int]) - With data type of int32.

        Outputs:
            Tensor, float64.

        Supported Platforms:
            ``Ascend`` ``GPU``
        """,
    )
    assert page.platforms == ("Ascend", "GPU") and page.notes == ("On GPU it is slow.",)
    assert [page.types(target, 0) for target in ALL] == [HALF, SINGLE, SINGLE]
    assert page.types("GPU", 1) is None and page.types("GPU", 2) == {"int32"} and page.types("GPU", 3) is None
