"""Compare an export with PyTorch: labels, logits and the time of one image."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from kilonet.data.batches import normalise
from kilonet.exports.graph.interpret import Pixels

ROUNDS = 40
CALLS = 5


class RunnableExport(Protocol):
    """An export that this machine can run."""

    def logits(self, images: Pixels) -> npt.NDArray[np.float32]:
        """Return the logits (N, K) of uint8 images (N, C, H, W)."""

    def one(self, image: Pixels) -> float | None:
        """Run one image (1, C, H, W).

        An export in another process returns the seconds by its own clock, because calling it
        takes longer than the network; these seconds are used instead of the time of the call.
        """


@dataclass(frozen=True)
class Verification:
    """An export and PyTorch on the test split, with the same weights.

    ``same_labels`` counts the images with the same predicted class. Times are for one image on one
    core: the fastest of five calls, as a median over rounds that alternate between both. PyTorch
    runs eagerly on one thread, with the normalisation of pixels.
    """

    images: int
    same_labels: int
    largest_logit_difference: float
    accuracy: float
    pytorch_accuracy: float
    milliseconds: float
    pytorch_milliseconds: float


def verify(
    network: RunnableExport,
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    mean: tuple[float, ...],
    std: tuple[float, ...],
) -> Verification:
    """Compare ``network`` with ``model`` on ``images`` uint8 (N, C, H, W) and ``labels`` (N,)."""
    with torch.inference_mode():
        parts = [model(normalise(part, mean, std)) for part in torch.split(images, 500)]
        expected = torch.cat(parts).numpy()
    logits = network.logits(images.numpy())
    truth = labels.numpy()
    first = images[:1]

    def eager() -> None:
        with torch.inference_mode():
            model(normalise(first, mean, std))

    picture = np.ascontiguousarray(first.numpy())
    seconds = alternating(lambda: network.one(picture), eager)
    return Verification(
        images=len(truth),
        same_labels=int((logits.argmax(1) == expected.argmax(1)).sum()),
        largest_logit_difference=float(np.abs(logits - expected).max()),
        accuracy=float((logits.argmax(1) == truth).mean()),
        pytorch_accuracy=float((expected.argmax(1) == truth).mean()),
        milliseconds=1e3 * seconds[0],
        pytorch_milliseconds=1e3 * seconds[1],
    )


def alternating(*calls: Callable[[], float | None]) -> list[float]:
    """Return the seconds of one call of each function, with PyTorch on one thread.

    The calls alternate, because the speed of a shared machine changes over time.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        times = [[_timed(call) for call in calls] for _ in range(ROUNDS)]
    finally:
        torch.set_num_threads(threads)
    return [median(column) for column in zip(*times, strict=True)]


def _timed(call: Callable[[], float | None]) -> float:
    """Return the seconds of the fastest of some calls: other processes only ever add time."""
    times = []
    for _ in range(CALLS):
        start = time.perf_counter()
        own_clock = call()
        times.append(time.perf_counter() - start if own_clock is None else own_clock)
    return min(times)
