"""Operators of compiled graphs, and what is said of them for a device."""

from collections import Counter

import pytest

from kidneyseg import device
from kidneyseg.commands.options import named_recipe
from kidneyseg.doctor.graphs import Operator, inference_operators, training_operators
from kidneyseg.doctor.verdict import judge, summary
from kidneyseg.errors import InputError

TINY = ("sampling.patch=[8,8,8]", "sampling.stride=[8,8,8]", "network.width=2", "network.depth=2")


@pytest.fixture(scope="module")
def coarse():
    device.use("CPU")
    return named_recipe("mplab_small", [f"stages.coarse.{key}" for key in TINY]).stage("coarse")


def names(operators):
    return {operator.name for operator in operators}


def test_a_network_as_it_is(coarse):
    found = inference_operators(coarse, "CPU", "float32")
    assert found[Operator("Conv3D", ("float32", "float32"))] == 7
    assert found[Operator("Conv3DTranspose", ("float32", "float32"))] == 1
    assert found[Operator("MaxPool3D", ("float32",))] == found[Operator("Softmax", ("float32",))] == 1
    assert not names(found) & {"MakeTuple", "Load", "Adam"}


def test_an_ascend_gets_other_operators_and_float16(coarse):
    found, trained = (make(coarse, "Ascend", "float16") for make in (inference_operators, training_operators))
    assert not (names(found) | names(trained)) & {"Conv3DTranspose", "MaxPool3D"}
    assert found[Operator("Conv3D", ("float16", "float16"))] == 8
    assert {"Adam", "Conv3DBackpropFilter", "GroupNormGrad", "ReduceMax"} <= names(trained)
    lines = judge(found, trained, "Ascend")
    assert {line.state for line in lines} == {"OK"} and "documented for Ascend" in summary(lines, "Ascend")
    (convolution,) = [line for line in lines if line.operator == "Conv3D"]
    assert (convolution.inference, convolution.training) == (8, 8)
    assert convolution.platforms == ("Ascend", "GPU", "CPU") and convolution.notes[0] == "CANN operator"


def test_types_that_are_not_documented_are_named(coarse):
    found = inference_operators(coarse, "CPU", "float32")
    lines = {line.operator: line for line in judge(found, found, "Ascend")}
    assert lines["Conv3D"].state == lines["Conv3DTranspose"].state == "wrong" and lines["MaxPool3D"].state == "OK"
    assert lines["Conv3D"].notes[0] == "input 1 is float32, documented for Ascend: float16"
    assert summary(list(lines.values()), "Ascend") == "not documented to run on Ascend: Conv3D, Conv3DTranspose"


def test_what_nothing_is_known_of_is_not_called_wrong():
    (line,) = judge(Counter({Operator("NoSuchOperator", ("float32",)): 1}), Counter(), "Ascend")
    assert line.state == "unknown" and "NoSuchOperator" in summary([line], "Ascend")


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_precision_that_the_device_has_not_is_refused(coarse, precision):
    with pytest.raises(InputError, match="3-D convolutions"):
        inference_operators(coarse, "Ascend", precision)
