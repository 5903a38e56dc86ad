"""The change log of a folder of runs: a row a run, and what its recipe changed since the last."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from kilonet.errors import RecipeError, RunError
from kilonet.recipe.schema import Recipe
from kilonet.runs.directory import RunDirectory

IGNORED = ("title", "source", "assumed", "constraints")


@dataclass(frozen=True)
class Entry:
    """One run. Accuracies are fractions, None before they were measured."""

    name: str
    parameters: int | None
    network: str
    dataset: str
    epochs: int
    rate: str
    train_accuracy: float | None
    validation_accuracy: float | None
    test_accuracy: float | None
    changed: str


def change_log(runs: Sequence[RunDirectory]) -> list[Entry]:
    """Return an entry a readable run, in the order given, each compared with the one before."""
    entries: list[Entry] = []
    before: Recipe | None = None
    for run in runs:
        try:
            recipe, history, metrics = run.recipe(), run.history(), run.metrics()
        except (RunError, RecipeError):
            continue
        entries.append(_entry(run, recipe, before, history, metrics))
        before = recipe
    return entries


def _entry(
    run: RunDirectory,
    recipe: Recipe,
    before: Recipe | None,
    history: list[dict[str, float]],
    metrics: dict[str, Any],
) -> Entry:
    judged = metrics.get("best_epoch") if recipe.training.keep == "best" else len(history)
    row = history[judged - 1] if judged and judged <= len(history) else {}
    return Entry(
        name=run.name,
        parameters=metrics.get("parameters"),
        network=_network(recipe),
        dataset=recipe.data.name,
        epochs=len(history),
        rate=f"{recipe.optimizer.name} {recipe.optimizer.lr:g} / {recipe.schedule.name}",
        train_accuracy=row.get("train_accuracy"),
        validation_accuracy=row.get("validation_accuracy"),
        test_accuracy=metrics.get("test", {}).get("accuracy"),
        changed="first run" if before is None else "; ".join(differences(before, recipe)) or "–",
    )


def _network(recipe: Recipe) -> str:
    layers = getattr(recipe.model, "layers", None)
    return f"{layers} {getattr(recipe.model, 'head', '')}" if layers else recipe.model.name


def differences(before: Recipe, after: Recipe) -> list[str]:
    """Return ``section.key: old → new`` for every key that differs; texts and budgets aside."""
    old, new = dict(_flat(before)), dict(_flat(after))
    return [
        f"{key}: {_shown(old.get(key))} → {_shown(new.get(key))}"
        for key in dict.fromkeys([*old, *new])
        if old.get(key) != new.get(key)
    ]


def _flat(recipe: Recipe) -> Iterator[tuple[str, Any]]:
    for section, content in recipe.model_dump().items():
        if section not in IGNORED:
            yield from ((f"{section}.{key}", value) for key, value in content.items())


def _shown(value: Any) -> str:
    return "off" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
