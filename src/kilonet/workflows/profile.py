"""Where the time of a training went, and how near it came to what the machine can multiply."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch

from kilonet.training.device import places, same_threads_after
from kilonet.training.fit import Fit
from kilonet.training.limit import flops_per_image, throughput
from kilonet.training.phases import Phases


@dataclass(frozen=True)
class Profile:
    """What was measured of a training.

    ``seconds`` are those of the leading worker, by phase. ``images_per_second`` are trained on by
    all workers together; each costs ``flops``. ``limits`` are the floating-point operations a
    second that ``forces`` ("2 threads") could do, by precision.
    """

    seconds: dict[str, float]
    images_per_second: float
    flops: int
    limits: dict[str, float]
    forces: str


class Watch:
    """Measures ``fit`` from now on; on a GPU this makes it wait for each phase."""

    def __init__(self, fit: Fit) -> None:
        fit.phases = Phases(fit.device, wait=True)
        self._fit, self._epochs_before = fit, len(fit.history)
        self._began = time.perf_counter()

    def read(self) -> Profile | None:
        """Return what was measured, with the limit of an otherwise idle machine; None of nothing.

        A training that was gone on with after its last epoch has trained nothing.
        """
        fit, seconds = self._fit, dict(self._fit.phases.seconds)
        whole = time.perf_counter() - self._began
        rows = fit.history[self._epochs_before :]
        if not rows:
            return None
        images = len(fit.material.train)
        training_seconds = sum(images / row["images_per_second"] for row in rows)
        shape = tuple(fit.material.train.images.shape[1:])
        precisions = dict.fromkeys(("float32", fit.precision))
        return Profile(
            seconds=seconds | {"rest": whole - sum(seconds.values())},
            images_per_second=images * len(rows) / training_seconds,
            flops=flops_per_image(fit.model, shape),
            limits={name: _limit(fit, name) for name in precisions},
            forces=_forces(fit),
        )


def _limit(fit: Fit, precision: str) -> float:
    """Return what all workers could do: those on this machine at once, others the same again."""
    if fit.device.type != "cpu":
        return throughput(fit.device, precision) * fit.workers.size
    threads = _threads(fit)
    here = min(threads, places(fit.device))
    with same_threads_after():
        torch.set_num_threads(here)
        return throughput(fit.device, precision) * threads / here


def _forces(fit: Fit) -> str:
    kind, number = fit.device.type, fit.workers.size
    if kind == "cpu":
        kind, number = "thread", _threads(fit)
    return f"{number} {kind}{'s' if kind == 'thread' and number > 1 else ''}"


def _threads(fit: Fit) -> int:
    return torch.get_num_threads() * fit.workers.size
