"""How fast a training could be if multiplying were all of it: the machine's arithmetic limit.

What a device can multiply is measured with PyTorch's own matrix product: no convolution here does
its multiplications faster than that.
"""

from __future__ import annotations

import time

import torch
from torch import nn

from kilonet.models.measure import layers, total_macs

SIZES = {"cpu": 1024, "cuda": 8192, "mps": 2048}  # of square matrices large enough to be efficient
SECONDS = 0.2  # of measuring; the best product counts, so that other work does no harm
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def flops_per_image(model: nn.Module, input_shape: tuple[int, ...]) -> int:
    """Return the floating-point operations of one training step, per image of ``input_shape``.

    Backward multiplies as often as forward once for the gradient of each layer's weights and once
    for that of its input, which the first layer's does not need. A multiply-accumulate is two
    operations; normalisation, activations and pooling count as none.
    """
    forward = total_macs(model, input_shape)
    first = next((row.macs for row in layers(model, input_shape) if row.macs), 0)
    return 2 * (3 * forward - first)


def throughput(device: torch.device, precision: str, size: int | None = None) -> float:
    """Return the floating-point operations a second of a matrix product in ``precision``.

    It runs on as many threads as this process has now. ``size`` is the matrices' side.
    """
    side = size or SIZES[device.type]
    left = torch.randn(side, side, device=device).to(DTYPES[precision])
    out = torch.empty_like(left)
    torch.mm(left, left, out=out)  # prepares what the first use has to
    best, until = float("inf"), time.perf_counter() + SECONDS
    while best == float("inf") or time.perf_counter() < until:
        _wait(device)
        began = time.perf_counter()
        torch.mm(left, left, out=out)
        _wait(device)
        best = min(best, time.perf_counter() - began)
    return float(2 * side**3 / best)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
