"""The learning-rate range test: a short training whose rate rises until the loss runs away."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from kilonet.data.batches import batches
from kilonet.errors import TrainingError, UsageError
from kilonet.extras import require
from kilonet.recipe.catalog import DEFAULT_RECIPE
from kilonet.recipe.keys import as_overrides
from kilonet.recipe.load import resolve
from kilonet.recipe.schema import ConstantConfig, Recipe
from kilonet.training.fit import Fit
from kilonet.training.monitoring import step_errors
from kilonet.training.seeding import generator
from kilonet.workflows.session import open_session

if TYPE_CHECKING:
    from kilonet.progress import Reporter

LOW, HIGH, STEPS = 1e-6, 10.0, 200
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


def lr_find(
    recipe: str | Path = DEFAULT_RECIPE,
    *,
    overrides: Sequence[str] = (),
    low: float = LOW,
    high: float = HIGH,
    steps: int = STEPS,
    out: str | Path | None = None,
    data_dir: str | Path | None = None,
    reporter: Reporter | None = None,
    **keywords: Any,
) -> RangeTest:
    """Train ``recipe`` for ``steps`` steps at rising learning rates and suggest one.

    Only training images are used. ``out`` is a PNG file for the curve. The recipe's own schedule
    and rate are ignored.

    Raises:
        UsageError, RecipeError: the recipe, the rates or the steps are wrong.
        DataError: the data set cannot be found.
        TrainingError: the loss ran away at once.
    """
    require("train")
    if not 0 < low < high:
        raise UsageError(f"The rates must rise from above 0: --low {low:g} --high {high:g}.")
    if not 20 <= steps <= 100_000:
        raise UsageError(f"--steps must be from 20 to 100,000, not {steps}.")
    resolved = resolve(recipe, [*overrides, *as_overrides(keywords)])
    resolved = replace(resolved, recipe=_without_schedule(resolved.recipe))
    with open_session(resolved, data_dir=data_dir, reporter=reporter) as session:
        result = range_test(session.fit, low, high, steps)
    if out is not None:
        from kilonet.report.run_plots import range_test as plot

        plot(result.rates, result.losses, result.suggestion, Path(out))
    return result


def _without_schedule(recipe: Recipe) -> Recipe:
    """Return ``recipe`` with a constant rate, and without teachers and moving average."""
    constant = recipe.model_copy(update={"schedule": ConstantConfig(name="none")})
    return constant.with_training(teachers=[], ema=None)


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
