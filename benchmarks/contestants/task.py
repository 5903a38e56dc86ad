"""Constants of the task that all contestants share; each defines the network in its library."""

from __future__ import annotations

import math

PARAMETERS = 14_210
IMAGES = 60_000
BATCH_SIZE = 256
EPOCHS = 15
PEAK_RATE = 0.2
MOMENTUM = 0.9
DROPOUT = 0.05
MEAN, STD = 0.1307, 0.3081
WARMUP = 0.3  # fraction of the steps in which the learning rate rises
START = 25.0  # the first learning rate is the peak divided by this


def require_same_size(trainable: int) -> None:
    """Check that the network has the parameters of the task.

    Raises:
        RuntimeError: the number of parameters differs.
    """
    if trainable != PARAMETERS:
        raise RuntimeError(f"the network has {trainable:,} parameters instead of {PARAMETERS:,}")


def steps_in(epochs: int, batch_size: int) -> int:
    """Return how many steps ``epochs`` take; the last of an epoch has fewer images."""
    return epochs * math.ceil(IMAGES / batch_size)


def one_cycle(step: int, steps: int) -> float:
    """Return the learning rate of a step from 0: half a cosine up, half a cosine down to 0."""
    peak_at = WARMUP * steps - 1
    if step <= peak_at:
        first, last, share = PEAK_RATE / START, PEAK_RATE, step / peak_at
    else:
        first, last, share = PEAK_RATE, 0.0, (step - peak_at) / (steps - 1 - peak_at)
    return last + (first - last) * (1 + math.cos(math.pi * share)) / 2
