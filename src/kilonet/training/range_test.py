"""The learning-rate range test: a short training whose rate rises until the loss runs away."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from kilonet.data.batches import batches
from kilonet.errors import TrainingError
from kilonet.training.failures import explained
from kilonet.training.fit import Fit
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

    It rises by the same factor each step and stops where the loss runs away. Validation and test
    images are not looked at. The fit is spoilt by it. Where an optimizer has several rates they
    keep their proportion.

    Raises:
        TrainingError: the loss was never finite for long enough to say anything.

    Source: L. N. Smith, "Cyclical learning rates for training neural networks", WACV 2017,
    section 3.3; smoothing and stopping as S. Gugger describes them ("How do you find a good
    learning rate", 2018).
    """
    rates, losses = [], []
    average, best = 0.0, math.inf
    groups = fit.optimizer.param_groups
    shares = [group["lr"] / groups[0]["lr"] for group in groups]
    fit.model.train()
    for step, batch in enumerate(_endless(fit, steps)):
        rate = low * (high / low) ** (step / max(1, steps - 1))
        for group, share in zip(groups, shares, strict=True):
            group["lr"] = rate * share
        with explained(1):
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
    return _judged(rates, losses)


def _endless(fit: Fit, steps: int) -> list[torch.Tensor]:
    """Return as many batches as there are ``steps``, epoch after epoch."""
    everything = torch.arange(len(fit.material.train), device=fit.device)
    found: list[torch.Tensor] = []
    epoch = 0
    while len(found) < steps:
        epoch += 1
        order = generator(fit.recipe.training.seed, "range order", epoch)
        found += batches(everything, fit.recipe.training.batch_size, order)
    return found[:steps]


def _judged(rates: list[float], losses: list[float]) -> RangeTest:
    if len(rates) < 10:
        raise TrainingError(
            "The loss ran away within ten steps: there is nothing to read off. Start from a lower "
            "learning rate (--low)."
        )
    lowest = min(range(len(losses)), key=losses.__getitem__)
    window = max(1, len(rates) // 20)
    falls = {
        place: losses[place - window] - losses[place + window]
        for place in range(window, min(lowest, len(rates) - window - 1) + 1)
    }
    steepest = max(falls, key=falls.__getitem__, default=lowest)
    return RangeTest(tuple(rates), tuple(losses), rates[steepest], rates[lowest])
