"""signatures.py and the enums in the C++ kernels name the same tensors in the same order."""

import re

from kidneyseg.cpu_kernels import signatures
from kidneyseg.cpu_kernels.build import SOURCE

KERNELS = re.compile(r"^KERNEL\((\w+)\) \{(.*?)^\}", re.MULTILINE | re.DOTALL)


def snake_case(name: str) -> str:
    return re.sub(r"(?<!^)([A-Z])", r"_\1", name.removeprefix("k")).lower()


def test_python_and_cpp_agree_on_the_order_of_tensors():
    bodies = {name: body for path in SOURCE.glob("*.cc") for name, body in KERNELS.findall(path.read_text("utf-8"))}
    assert bodies.keys() == signatures.SIGNATURES.keys()
    for kernel, signature in signatures.SIGNATURES.items():
        if "*" not in signature:
            names = re.search(r"enum \{(.*?)\}", bodies[kernel], re.DOTALL)[1].split(",")
            assert [snake_case(name.strip()) for name in names] == signature.replace(" -> ", ", ").split(", "), kernel


def test_number_of_outputs():
    assert [signatures.outputs(kernel) for kernel in ("ConvolutionForward", "NormBackward")] == [1, 4]
