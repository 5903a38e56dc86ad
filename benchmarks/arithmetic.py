"""The arithmetic limit: the time that a training step's multiplications alone take on this machine.

The throughput is that of PyTorch's matrix product, the best of several sizes and repeats; no
convolution can be faster.
"""

from __future__ import annotations

import os
import time

import torch

from benchmarks.contestants import task
from benchmarks.results import Arithmetic, Figures
from kilonet.models.build import build
from kilonet.models.measure import layers, total_macs
from kilonet.recipe.load import resolve

SIZES = (512, 1024, 2048)
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
IMAGE = (1, 28, 28)


def measure(quick: bool = False) -> Arithmetic:
    """Measure this machine, on one thread and on all of its cores; takes some seconds."""
    sizes = SIZES[:1] if quick else SIZES
    before = torch.get_num_threads()
    try:
        gflops = {str(n): throughput(n, sizes, 3 if quick else 20) for n in _thread_counts()}
    finally:
        torch.set_num_threads(before)
    macs, per_image = costs()
    per_step = per_image * task.BATCH_SIZE
    return Arithmetic(
        macs_per_image=macs,
        flops_per_image=per_image,
        flops_per_step=per_step,
        matrix_sizes=list(sizes),
        gflops=gflops,
        step_milliseconds={
            threads: {name: per_step / speed / 1e6 for name, speed in by_precision.items()}
            for threads, by_precision in gflops.items()
        },
    )


def costs() -> tuple[int, int]:
    """Return the multiply-accumulates of a forward pass and the FLOPs of training, per image.

    The backward pass needs twice as many: for the gradients of each layer's input and weights. The
    input of the first layer needs no gradient. A multiply-accumulate is two operations;
    normalisation, activations and pooling are not counted.
    """
    model = build(resolve("gap-14k").recipe.model)
    macs = total_macs(model, IMAGE)
    first = next(row.macs for row in layers(model, IMAGE) if row.macs)
    return macs, 2 * (3 * macs - first)


def throughput(threads: int, sizes: tuple[int, ...], repeats: int) -> Figures:
    """Return GFLOP/s of square matrix products on ``threads`` threads, by precision."""
    torch.set_num_threads(threads)
    return {
        name: max(_best(size, dtype, repeats) for size in sizes)
        for name, dtype in PRECISIONS.items()
    }


def _best(size: int, dtype: torch.dtype, repeats: int) -> float:
    left = torch.randn(size, size).to(dtype)
    right = torch.randn(size, size).to(dtype)
    out = torch.empty(size, size, dtype=dtype)
    seconds = []
    for _ in range(repeats + 1):  # the first repeat warms up and is not counted
        began = time.perf_counter()
        torch.mm(left, right, out=out)
        seconds.append(time.perf_counter() - began)
    return 2 * size**3 / min(seconds[1:]) / 1e9


def _thread_counts() -> list[int]:
    return sorted({1, os.cpu_count() or 1})
