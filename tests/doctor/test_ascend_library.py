"""Kernels by the names of classes in MindSpore's libraries for Ascend."""

import pytest

from kidneyseg.doctor import ascend_library


@pytest.mark.parametrize(
    ("operator", "kind"),
    [
        ("GroupNorm", "aclnn"),
        ("ReLU", "aclnn"),
        ("ReduceMax", "aclnn"),
        ("Conv3DExt", "aclnn"),
        ("UpsampleTrilinear3D", "aclnn"),
        ("Conv3D", "CANN operator"),
        ("Conv3DTranspose", "CANN operator"),
        ("MaxPool3D", "CANN operator"),
        ("NoSuchOperator", ""),
    ],
)
def test_the_installed_libraries(operator, kind):
    assert ascend_library.kernels().what(operator) == kind


def test_a_mindspore_without_them(monkeypatch):
    monkeypatch.setattr(ascend_library, "find_spec", lambda name: None)
    assert ascend_library.kernels.__wrapped__() is None
