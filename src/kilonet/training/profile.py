"""Where the time of a training goes, and how close it comes to the arithmetic limit.

The limit is PyTorch's own matrix product, measured on the same device: no convolution here
multiplies faster.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from kilonet.models.measure import layers, total_macs
from kilonet.training.device import compute_units, threads_restored

if TYPE_CHECKING:
    from kilonet.training.fit import Fit

PHASES = ("data", "forward", "backward", "exchange", "optimizer", "evaluation")
SIZES = {"cpu": 1024, "cuda": 8192, "mps": 2048}  # of square matrices large enough to be efficient
SECONDS = 0.2  # of measuring; the best product counts, so that other programs do not disturb
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class PhaseTimer:
    """Sums the seconds spent in each of ``PHASES``.

    A GPU works asynchronously. Its figures mean something only if the program waits for it after
    every phase, which ``wait`` turns on and which slows training down.
    """

    def __init__(self, device: torch.device, *, wait: bool = False) -> None:
        self.seconds = dict.fromkeys(PHASES, 0.0)
        self._waits_for = device if wait and device.type == "cuda" else None

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Count what happens inside as phase ``name``."""
        began = time.perf_counter()
        yield
        if self._waits_for is not None:
            torch.cuda.synchronize(self._waits_for)
        self.seconds[name] += time.perf_counter() - began


@dataclass(frozen=True)
class Profile:
    """What was measured of a training.

    ``seconds`` are those of the leading process, by phase. ``images_per_second`` counts the
    training images of all processes together; each costs ``flops``. ``limits`` are the
    floating-point operations per second that ``hardware`` ("2 threads") could do, by precision.
    """

    seconds: dict[str, float]
    images_per_second: float
    flops: int
    limits: dict[str, float]
    hardware: str


class Profiler:
    """Measures ``fit`` from now on; on a GPU this makes it wait for each phase."""

    def __init__(self, fit: Fit) -> None:
        fit.phases = PhaseTimer(fit.device, wait=True)
        self._fit, self._epochs_before = fit, len(fit.history)
        self._began = time.perf_counter()

    def result(self) -> Profile | None:
        """Return what was measured, with the limit of an otherwise idle machine.

        None if no epoch was trained: the run was resumed after its last one.
        """
        fit, seconds = self._fit, dict(self._fit.phases.seconds)
        whole = time.perf_counter() - self._began
        rows = fit.history[self._epochs_before :]
        if not rows:
            return None
        images = len(fit.data.train)
        training_seconds = sum(images / row["images_per_second"] for row in rows)
        precisions = dict.fromkeys(("float32", fit.precision))
        return Profile(
            seconds=seconds | {"rest": whole - sum(seconds.values())},
            images_per_second=images * len(rows) / training_seconds,
            flops=flops_per_image(fit.model, fit.data.shape),
            limits={name: _limit(fit, name) for name in precisions},
            hardware=_hardware(fit),
        )


def _limit(fit: Fit, precision: str) -> float:
    """Return what all processes could compute if each machine were as fast as this one."""
    if fit.device.type != "cpu":
        return throughput(fit.device, precision) * fit.group.size
    threads = _threads(fit)
    here = min(threads, compute_units(fit.device))
    with threads_restored():
        torch.set_num_threads(here)
        return throughput(fit.device, precision) * threads / here


def _hardware(fit: Fit) -> str:
    kind, number = fit.device.type, fit.group.size
    if kind == "cpu":
        kind, number = "thread", _threads(fit)
    return f"{number} {kind}{'s' if kind == 'thread' and number > 1 else ''}"


def _threads(fit: Fit) -> int:
    return torch.get_num_threads() * fit.group.size


def flops_per_image(model: nn.Module, input_shape: tuple[int, ...]) -> int:
    """Return the floating-point operations of one training step, per image of ``input_shape``.

    The backward pass multiplies as often as the forward pass for the gradient of each layer's
    weights, and again for that of its input, which the first layer does not need. A
    multiply-accumulate is two operations; normalisation, activations and pooling count as none.
    """
    forward = total_macs(model, input_shape)
    first = next((row.macs for row in layers(model, input_shape) if row.macs), 0)
    return 2 * (3 * forward - first)


def throughput(device: torch.device, precision: str, size: int | None = None) -> float:
    """Return the floating-point operations per second of a matrix product in ``precision``.

    It runs on as many threads as this process has now. ``size`` is the side of the matrices.
    """
    side = size or SIZES[device.type]
    left = torch.randn(side, side, device=device).to(DTYPES[precision])
    out = torch.empty_like(left)
    torch.mm(left, left, out=out)  # warms up
    best, until = float("inf"), time.perf_counter() + SECONDS
    while best == float("inf") or time.perf_counter() < until:
        _synchronize(device)
        began = time.perf_counter()
        torch.mm(left, left, out=out)
        _synchronize(device)
        best = min(best, time.perf_counter() - began)
    return float(2 * side**3 / best)


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
