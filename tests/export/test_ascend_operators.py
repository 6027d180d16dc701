"""The line on where a graph runs names what the public lists leave out, and nothing else."""

from kidneyseg.export.ascend_operators import where_it_runs


def test_what_the_lists_name():
    assert where_it_runs(["Conv2D", "BatchNorm", "Softmax"]) == (
        "Ascend 310: all operators documented; 310P: all operators documented"
    )


def test_3d_convolution_and_what_nobody_has_heard_of():
    assert where_it_runs({"Softmax": 1, "Conv3D": 4, "Strange": 1}) == (
        "Ascend 310: not known of Conv3D, Strange; 310P: documented without Conv3D, not known of Strange"
    )
