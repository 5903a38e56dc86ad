"""Ours where a fit has processes of its own: each request is answered by a whole short run."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.contestants import task
from benchmarks.contestants.kilonet_loop import RECIPE, overrides
from benchmarks.contestants.meter import Meter
from kilonet.machine import limit_openmp_spinning


def answer_requests(
    meter: Meter,
    data: str,
    epochs: int,
    batch_size: int,
    changes: Sequence[str] = (),
    epochs_each: int = 2,
) -> None:
    """Answer "steps N", whatever N is, with the last epoch of a run of ``epochs_each`` epochs.

    The epochs before it are the warm-up. ``epochs`` is what the schedule would be made for in a
    loop that is stopped; a whole run has its own.
    """
    del epochs
    limit_openmp_spinning()
    import kilonet

    words = [*overrides(epochs_each, batch_size), *changes]
    for _ in meter.requests():
        with tempfile.TemporaryDirectory() as folder:
            run = kilonet.train(RECIPE, overrides=words, data_dir=data, out=Path(folder) / "run")
            meter.answer(task.IMAGES / run.history[-1]["images_per_second"], task.IMAGES)
