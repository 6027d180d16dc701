"""One process of the network benchmark: runs a step of one network for every line that it reads.

A training step consists of forward, mean of the squared logits, backward and one step of SGD.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np

from kidneyseg.benchmark.network_cases import NETWORK_CASES, NetworkCase, in_mindspore, in_torch
from kidneyseg.benchmark.worker_process import serve
from kidneyseg.system.peak_memory import own_peak


def mindspore_step(case: NetworkCase, values: np.ndarray, train: bool, fast: bool, dtype: str) -> Callable[[], object]:
    """Build the compiled step, which returns after its computation has finished."""
    import mindspore as ms
    from mindspore import nn

    from kidneyseg import cpu_kernels

    ms.set_device("CPU")
    network = in_mindspore(case)
    if fast:
        network = cpu_kernels.accelerate(network, precision=dtype)
    network.set_train(train)
    x = ms.Tensor(values)
    if not train:

        @ms.jit
        def forward(x: ms.Tensor) -> ms.Tensor:
            return network(x)

        return lambda: forward(x).asnumpy()

    def loss(x: ms.Tensor) -> ms.Tensor:
        logits = network(x)
        return (logits * logits).mean()

    parameters = network.trainable_params()
    if not parameters:
        gradient = ms.jit(ms.grad(loss, 0))
        return lambda: gradient(x).asnumpy()
    gradient, optimiser = ms.value_and_grad(loss, None, parameters), nn.SGD(parameters, learning_rate=0.01)

    @ms.jit
    def step(x: ms.Tensor) -> ms.Tensor:
        value, gradients = gradient(x)
        optimiser(gradients)
        return value

    return lambda: (step(x).asnumpy(), parameters[0].asnumpy())


def torch_step(
    case: NetworkCase, values: np.ndarray, train: bool, channels_last: bool, dtype: str
) -> Callable[[], object]:
    """Build the step, which PyTorch runs eagerly."""
    import torch

    from kidneyseg.benchmark.torch_setup import set_up_torch

    set_up_torch()
    network, x = in_torch(case).train(train), torch.from_numpy(values)
    if channels_last:
        layout = torch.channels_last if values.ndim == 4 else torch.channels_last_3d
        network, x = network.to(memory_format=layout), x.to(memory_format=layout)
    half = torch.autocast("cpu", torch.bfloat16) if dtype == "bfloat16" else contextlib.nullcontext()
    parameters = list(network.parameters())
    optimiser = torch.optim.SGD(parameters, lr=0.01) if parameters else None
    x.requires_grad_(train and not parameters)

    def forward() -> object:
        with torch.no_grad(), half:
            return network(x)

    def step() -> None:
        for tensor in [x, *parameters]:
            tensor.grad = None
        with half:
            logits = network(x)
        (logits.float() ** 2).mean().backward()
        if optimiser:
            optimiser.step()

    return step if train else forward


def main(job: dict) -> Iterator[dict]:
    """Yield time and memory of a first step, which compiles and allocates, and of a step for every line of stdin."""
    case, train = NETWORK_CASES[job["case"]], job["phase"] == "train"
    implementation, dtype = job["implementation"], job["dtype"]
    values = np.random.default_rng(0).standard_normal(case.small if job["small"] else case.shape).astype(np.float32)
    if implementation.startswith("pytorch"):
        step = torch_step(case, values, train, implementation.endswith("channels_last"), dtype)
    else:
        step = mindspore_step(case, values, train, implementation == "kidneyseg", dtype)
    yield _timed(step)
    for _ in sys.stdin:
        yield _timed(step)


def _timed(step: Callable[[], object]) -> dict:
    start, start_cpu = time.perf_counter(), time.process_time()
    step()
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - start_cpu
    return {"ms": seconds * 1e3, "cpu_ms": cpu_seconds * 1e3, "peak_mib": own_peak()}


if __name__ == "__main__":
    serve(main)
