"""The learning-rate range test of a recipe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kilonet.errors import UsageError
from kilonet.extras import require
from kilonet.recipe.catalog import DEFAULT_RECIPE
from kilonet.recipe.keys import as_overrides
from kilonet.recipe.load import resolve
from kilonet.recipe.schema import ConstantConfig, Recipe
from kilonet.training.range_test import range_test
from kilonet.workflows.session import open_session

if TYPE_CHECKING:
    from kilonet.progress import Reporter
    from kilonet.training.range_test import RangeTest

LOW, HIGH, STEPS = 1e-6, 10.0, 200


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
