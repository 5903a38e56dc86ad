"""An export held against PyTorch, picture by picture and by the clock."""

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


class Network(Protocol):
    """An export that can be run here."""

    def logits(self, images: Pixels) -> npt.NDArray[np.float32]:
        """Return the logits (N, K) of uint8 images (N, C, H, W)."""

    def one(self, image: Pixels) -> float | None:
        """Read one image (1, C, H, W).

        Where the way there takes longer than the network does, the seconds by its own clock are
        returned, and count.
        """


@dataclass(frozen=True)
class Verification:
    """What an export does on the test split, beside PyTorch with the weights of the run."""

    images: int
    same_labels: int
    """Of how many images both say the same class."""
    largest_logit_difference: float
    accuracy: float
    pytorch_accuracy: float
    milliseconds: float
    """For one picture on one core: the median of the medians of rounds that alternate."""
    pytorch_milliseconds: float
    """The same of the network in PyTorch, eager, one thread, its normalisation included."""


def verify(
    network: Network,
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    mean: tuple[float, ...],
    std: tuple[float, ...],
) -> Verification:
    """Compare ``network`` with ``model`` on ``images`` uint8 (N, C, H, W) and ``labels`` (N,)."""
    with torch.inference_mode():
        parts = [model(normalise(part, mean, std)) for part in torch.split(images, 500)]
        ours = torch.cat(parts).numpy()
    theirs = network.logits(images.numpy())
    truth = labels.numpy()
    first = images[:1]

    def eager() -> None:
        with torch.inference_mode():
            model(normalise(first, mean, std))

    picture = np.ascontiguousarray(first.numpy())
    seconds = alternating(lambda: network.one(picture), eager)
    return Verification(
        images=len(truth),
        same_labels=int((ours.argmax(1) == theirs.argmax(1)).sum()),
        largest_logit_difference=float(np.abs(ours - theirs).max()),
        accuracy=float((theirs.argmax(1) == truth).mean()),
        pytorch_accuracy=float((ours.argmax(1) == truth).mean()),
        milliseconds=1e3 * seconds[0],
        pytorch_milliseconds=1e3 * seconds[1],
    )


def alternating(*calls: Callable[[], float | None]) -> list[float]:
    """Return the seconds of one call each, timed in rounds that alternate, PyTorch on one thread.

    The clock of a shared machine wanders: what is compared is timed within the same moments.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        times = [[_timed(call) for call in calls] for _ in range(ROUNDS)]
    finally:
        torch.set_num_threads(threads)
    return [median(column) for column in zip(*times, strict=True)]


def _timed(call: Callable[[], float | None]) -> float:
    taken = []
    for _ in range(CALLS):
        began = time.perf_counter()
        own = call()
        taken.append(time.perf_counter() - began if own is None else own)
    return median(taken)
