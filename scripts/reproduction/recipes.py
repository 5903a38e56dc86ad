"""What the shipped recipe behind a claim says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

from kilonet.recipe.describe import fingerprint
from kilonet.recipe.load import resolve
from kilonet.recipe.schema import Recipe
from reproduction.claims import Measured
from reproduction.results import Result
from reproduction.words import NONE

_JUDGED = {
    "best": "those of the epoch with the highest validation accuracy",
    "last": "those of the last epoch",
}


def recipe_of(measured: Measured) -> Recipe:
    """Return the shipped recipe with the overrides that it is measured with."""
    return resolve(measured.recipe, measured.overrides).recipe


def fingerprints_asked(recipe: Recipe) -> set[str]:
    """Return those of the recipes that this, of a run, may have come from.

    A run's recipe says what was trained with where it had been left to be chosen.
    """
    chosen = {key: {getattr(recipe.training, key), "auto"} for key in ("precision", "kernels")}
    asked = [dict(zip(chosen, values, strict=True)) for values in product(*chosen.values())]
    return {
        fingerprint(recipe.model_copy(update={"training": recipe.training.model_copy(update=each)}))
        for each in asked
    }


def judged_weights(recipe: Recipe) -> str:
    """Say which weights the test images saw."""
    averaged = ", averaged over steps" if recipe.training.ema is not None else ""
    return _JUDGED[recipe.training.keep] + averaged


def assumptions(recipe: Recipe) -> list[str]:
    """Return ``key = value`` for all that the page leaves open."""
    keys = _flat(recipe.model_dump())
    return [f"`{name} = {_value(keys.get(name))}`" for name in recipe.assumed]


def differences(recipe: Recipe, other: Recipe) -> list[str]:
    """Return what ``recipe`` sets otherwise than ``other``, as ``key = value`` (the other's)."""
    here, there = _flat(recipe.model_dump()), _flat(other.model_dump())
    names = [name for name in here if here[name] != there.get(name)]
    return [f"`{n} = {_value(here.get(n))}` ({_value(there.get(n))})" for n in names]


def changed_since(recipe: Recipe, result: Result) -> str:
    """Return the recipe's fingerprint of today if ``result`` was measured with another."""
    today = fingerprint(recipe)
    return "" if today == result.fingerprint else today


def _flat(table: Mapping[str, Any]) -> dict[str, Any]:
    sections = {name: value for name, value in table.items() if isinstance(value, dict)}
    sections.pop("constraints", None)
    return {f"{s}.{key}": value for s, keys in sections.items() for key, value in keys.items()}


def _value(value: Any) -> str:
    return NONE if value is None else str(value).lower() if isinstance(value, bool) else str(value)
