"""Kilonet: ``kilonet.train`` in this process, as a user calls it, counted by a PyTorch hook."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

from benchmarks.contestants import task
from benchmarks.contestants.meter import AfterStep
from kilonet.machine import limit_openmp_spinning

RECIPE = "gap-14k"


def overrides(epochs: int, batch_size: int) -> list[str]:
    """Return the overrides that train on all 60,000 images without validation."""
    return [
        "data.name=mnist",
        "data.validation=0",
        "training.keep=last",
        "training.record_test_by_epoch=false",
        f"training.epochs={epochs}",
        f"training.batch_size={batch_size}",
    ]


def batch_sizes(batch_size: int) -> list[int]:
    """Return the images of each step of an epoch; the last step has the remaining images."""
    full, rest = divmod(task.IMAGES, batch_size)
    return [batch_size] * full + [rest] * bool(rest)


def train(
    after_step: AfterStep, data: str, epochs: int, batch_size: int, changes: Sequence[str] = ()
) -> None:
    """Train the recipe with ``changes``, overrides such as ``training.precision=bfloat16``."""
    limit_openmp_spinning()  # as the command does; before PyTorch is loaded
    from torch.optim.optimizer import register_optimizer_step_post_hook

    import kilonet

    sizes = cycle(batch_sizes(batch_size))
    hook = register_optimizer_step_post_hook(lambda *_: after_step(next(sizes)))
    words = [*overrides(epochs, batch_size), *changes]
    try:
        with tempfile.TemporaryDirectory() as folder:
            kilonet.train(RECIPE, overrides=words, data_dir=data, out=Path(folder) / "run")
    finally:
        hook.remove()
