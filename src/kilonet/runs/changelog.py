"""The change log of runs: one entry per run, with what changed since the run before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from kilonet.errors import RunError
from kilonet.recipe.load import value_text
from kilonet.recipe.schema import Recipe
from kilonet.runs import layout
from kilonet.runs.directory import RunDirectory
from kilonet.runs.layout import Row

IGNORED = ("title", "source", "assumed", "constraints")


@dataclass(frozen=True)
class Change:
    """A recipe key whose value differs from the run before; None: off."""

    key: str
    """As ``section.key``."""
    old: Any
    new: Any

    def __str__(self) -> str:
        return f"{self.key.partition('.')[2]} {value_text(self.old)} → {value_text(self.new)}"


@dataclass(frozen=True)
class ChangeLogEntry:
    """One run. Accuracies are fractions; None: not measured yet."""

    name: str
    parameters: int | None
    network: str
    dataset: str
    epochs: int
    """Finished epochs."""
    epochs_planned: int
    finished: bool
    optimizer: str
    learning_rate: float
    schedule: str
    train_accuracy: float | None
    validation_accuracy: float | None
    test_accuracy: float | None
    changed: list[Change] | None
    """Differences from the recipe of the run before; None for the first run."""

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain values for ``json.dump``."""
        return asdict(self)

    def summary(self) -> list[str]:
        """Return the network, and the changes: one line per section."""
        if self.changed is None:
            return [self.network, "first run"]
        sections: dict[str, list[str]] = {}
        for change in self.changed:
            sections.setdefault(change.key.partition(".")[0], []).append(str(change))
        lines = [f"{section}: {', '.join(changes)}" for section, changes in sections.items()]
        return [self.network, *(lines or ["the same recipe again"])]


def change_log(runs: Sequence[RunDirectory]) -> tuple[list[ChangeLogEntry], list[str]]:
    """Return one entry per run, and a message for each damaged run."""
    entries: list[ChangeLogEntry] = []
    damaged: list[str] = []
    before: tuple[Recipe, RunDirectory] | None = None
    for run in runs:
        try:
            recipe, history, metrics = run.recipe(), run.history(), run.metrics()
        except RunError as error:
            damaged.append(str(error))
            continue
        changed = None
        if before is not None:
            changed = differences(before[0], recipe) + _other_code(before[1], run)
        entries.append(_entry(run, recipe, history, metrics, changed))
        before = recipe, run
    return entries, damaged


def _other_code(before: RunDirectory, after: RunDirectory) -> list[Change]:
    """Return the change of the code of a network of the user's own, or else of its size."""
    names = {layout.SOURCE_KEY: "model.code"}
    if ":" in after.recipe().model.name:
        names["parameters"] = "model.parameters"
    changes = [
        Change(name, before.facts.get(key), after.facts.get(key)) for key, name in names.items()
    ]
    return [change for change in changes if change.old != change.new]


def _entry(
    run: RunDirectory,
    recipe: Recipe,
    history: list[Row],
    metrics: dict[str, Any],
    changed: list[Change] | None,
) -> ChangeLogEntry:
    row = _evaluated_epoch(recipe, history, metrics)
    return ChangeLogEntry(
        name=run.name,
        parameters=metrics.get("parameters", run.facts.get("parameters")),
        network=_network(recipe),
        dataset=recipe.data.name.rpartition("/")[2],
        epochs=len(history),
        epochs_planned=recipe.training.epochs,
        finished=run.finished,
        optimizer=recipe.optimizer.name,
        learning_rate=recipe.optimizer.lr,
        schedule=recipe.schedule.name,
        train_accuracy=row.get("train_accuracy"),
        validation_accuracy=row.get("validation_accuracy"),
        test_accuracy=metrics["test"]["accuracy"] if metrics else None,
        changed=changed,
    )


def _evaluated_epoch(recipe: Recipe, history: list[Row], metrics: dict[str, Any]) -> Row:
    """Return the epoch whose weights are evaluated; the latest epoch of an unfinished run."""
    epoch = metrics.get("best_epoch") if recipe.training.keep == "best" else None
    rows = [row for row in history if row["epoch"] == epoch] or history
    return rows[-1] if rows else {}


def _network(recipe: Recipe) -> str:
    layers, head = (getattr(recipe.model, key, "") for key in ("layers", "head"))
    start = f"from {recipe.training.weights}" if recipe.training.weights else ""
    return " ".join(filter(None, (recipe.model.name, layers, head if layers else "", start)))


def differences(before: Recipe, after: Recipe) -> list[Change]:
    """Return every key with different values in the two recipes, except texts and constraints.

    If a section's ``name`` differs, keys that only one of the recipes has are not listed.
    """
    old, new = dict(_flat(before)), dict(_flat(after))
    return [
        Change(key, old.get(key), new.get(key))
        for key in dict.fromkeys([*new, *old])
        if old.get(key) != new.get(key) and not _implied(key, old, new)
    ]


def _implied(key: str, old: dict[str, Any], new: dict[str, Any]) -> bool:
    name = f"{key.partition('.')[0]}.name"
    return old.get(name) != new.get(name) and (key not in old or key not in new)


def _flat(recipe: Recipe) -> Iterator[tuple[str, Any]]:
    for section, content in recipe.model_dump().items():
        if section not in IGNORED:
            yield from ((f"{section}.{key}", value) for key, value in content.items())
