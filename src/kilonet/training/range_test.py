"""The learning-rate range test: a short training whose rate rises until the loss runs away."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from kilonet.data.batches import batches
from kilonet.errors import TrainingError
from kilonet.training.fit import Fit
from kilonet.training.monitoring import step_errors
from kilonet.training.seeding import generator

_SMOOTHING = 0.9
_RUN_AWAY = 4.0  # times the lowest loss


@dataclass(frozen=True)
class RangeTest:
    """The training loss, smoothed over steps, at each learning rate, and what follows from it."""

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    suggestion: float
    """Where the loss falls fastest, per decade of the rate."""
    lowest: float
    """Where the loss was lowest: beyond, training is no longer stable."""


def range_test(fit: Fit, low: float, high: float, steps: int) -> RangeTest:
    """Train ``fit`` for up to ``steps`` steps with a rate that rises from ``low`` to ``high``.

    The rate rises by the same factor each step; the test stops when the loss runs away. Only
    training images are used. The fit cannot be used afterwards. The rates of an optimizer with
    several of them keep their ratio.

    Raises:
        TrainingError: the loss ran away too soon to suggest a rate.

    Source: L. N. Smith, "Cyclical learning rates for training neural networks", WACV 2017,
    section 3.3; smoothing and stopping as S. Gugger describes them ("How do you find a good
    learning rate", 2018).
    """
    rates, losses = [], []
    average, best = 0.0, math.inf
    groups = fit.optimizer.param_groups
    shares = [group["lr"] / groups[0]["lr"] for group in groups]
    fit.model.train()
    for step, batch in enumerate(_batches(fit, steps)):
        rate = low * (high / low) ** (step / max(1, steps - 1))
        for group, share in zip(groups, shares, strict=True):
            group["lr"] = rate * share
        with step_errors(1):
            loss = float(
                fit.train_batch(batch, generator(fit.recipe.training.seed, "range", step))[0]
            )
        if not math.isfinite(loss):
            break
        average = _SMOOTHING * average + (1 - _SMOOTHING) * loss
        smooth = average / (1 - _SMOOTHING ** (step + 1))
        rates.append(rate)
        losses.append(smooth)
        if smooth > _RUN_AWAY * best:
            break
        best = min(best, smooth)
    return _conclude(rates, losses)


def _batches(fit: Fit, steps: int) -> list[torch.Tensor]:
    """Return ``steps`` batches, epoch after epoch."""
    everything = torch.arange(len(fit.data.train), device=fit.device)
    chosen: list[torch.Tensor] = []
    epoch = 0
    while len(chosen) < steps:
        epoch += 1
        order = generator(fit.recipe.training.seed, "range order", epoch)
        chosen += batches(everything, fit.recipe.training.batch_size, order)
    return chosen[:steps]


def _conclude(rates: list[float], losses: list[float]) -> RangeTest:
    if len(rates) < 10:
        raise TrainingError(
            "The loss ran away within ten steps, too few to suggest a rate. Start from a lower "
            "learning rate (--low)."
        )
    lowest = min(range(len(losses)), key=losses.__getitem__)
    window = max(1, len(rates) // 20)
    falls = {
        index: losses[index - window] - losses[index + window]
        for index in range(window, min(lowest, len(rates) - window - 1) + 1)
    }
    steepest = max(falls, key=falls.__getitem__, default=lowest)
    return RangeTest(tuple(rates), tuple(losses), rates[steepest], rates[lowest])
