"""What the frontier's page is made of: budgets and records, final runs, trials, exports, cards."""

from __future__ import annotations

import json
import tomllib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from pydantic import BaseModel, ConfigDict

from exporting.measured import read_exported
from kilonet.evaluation.statistics import t_interval
from kilonet.recipe.load import resolve
from reproduction.results import Result, read_result

HERE = Path(__file__).resolve().parent
FEWEST = 3  # seeds of which an interval says something
BASE = "base"  # what the other trials of a group differ from


class Layout(BaseModel):
    """Nothing that is not described here."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Budget(Layout):
    """The most parameters that a network may have, and the mean accuracy to reach, in percent."""

    name: str
    parameters: int
    goal: float
    dataset: str = "mnist"


class Record(Layout):
    """What someone else has published: parameters, test accuracy in percent, how it was come by."""

    parameters: int
    accuracy: float
    how: str
    source: str
    dataset: str = "mnist"


@dataclass(frozen=True)
class Sparse:
    """What pruning left of the network that ships: how many numbers, and how many it gets right."""

    nonzero: int
    correct: int
    total: int


@dataclass(frozen=True)
class Row:
    """A budget and what was reached within it; ``int8`` is the C export's accuracy, a fraction."""

    budget: Budget
    result: Result | None
    int8: float | None
    sparse: Sparse | None = None

    @property
    def layers(self) -> str:
        """The chain of the recipe of that name."""
        layers: str = resolve(self.budget.name).recipe.model.model_dump()["layers"]
        return layers

    @property
    def met(self) -> bool | None:
        """Whether the mean of at least five seeds reaches the goal; None before there are five."""
        if self.result is None or len(self.result.runs) < 5:
            return None
        return self.result.accuracy.mean >= Fraction(str(self.budget.goal))


@dataclass(frozen=True)
class Effect:
    """What one change did to the base of its group, by validation accuracy in points.

    ``mean`` and ``deviation`` are over the seeds that both have, each compared with its own: a
    seed draws the split as well, so the two of a seed were judged on the same images.
    ``half_width`` is that of Student's interval at 95 %, of three seeds or more.
    """

    group: str
    change: str
    parameters: int
    epochs: int
    seeds: int
    accuracy: float
    mean: float | None
    deviation: float | None
    half_width: float | None = None


@dataclass(frozen=True)
class Frontier:
    """All that the page shows."""

    rows: Sequence[Row]
    records: Sequence[Record]
    effects: Sequence[Effect]
    others: Mapping[str, Result]

    def on(self, dataset: str) -> Frontier:
        """Return the part that is of ``dataset``: budgets and records."""
        return replace(
            self,
            rows=[row for row in self.rows if row.budget.dataset == dataset],
            records=[record for record in self.records if record.dataset == dataset],
        )


def read_records() -> dict[str, Any]:
    """Return what ``records.toml`` says: budgets, and what was known."""
    return tomllib.loads((HERE / "records.toml").read_text(encoding="utf-8"))


def read_frontier(results: Path, others: Mapping[str, Result]) -> Frontier:
    """Return what is in ``results``; ``others`` are runs of this project beside the frontier."""
    content = read_records()
    budgets = [Budget.model_validate(entry) for entry in content["budget"]]
    int8 = {
        exported.recipe: form.verification.accuracy
        for exported in read_exported(results)
        for form in exported.forms
        if form.target == "c-int8"
    }
    sparse = sparse_of(results / "frontier-sparse.json")
    return Frontier(
        rows=[
            Row(b, _result(results / f"{b.name}.json"), int8.get(b.name), sparse.get(b.name))
            for b in budgets
        ],
        records=[Record.model_validate(entry) for entry in content["record"]],
        effects=effects_of(results / "frontier-search.json"),
        others=others,
    )


def _result(path: Path) -> Result | None:
    return read_result(path) if path.exists() else None


def sparse_of(path: Path) -> dict[str, Sparse]:
    """Return what ``scripts/frontier/sparse.py`` stored, by the model's name."""
    if not path.exists():
        return {}
    entries = json.loads(path.read_text(encoding="utf-8"))["models"]
    return {
        entry["name"]: Sparse(entry["nonzero"], entry["test_correct"], entry["test_total"])
        for entry in entries
    }


def effects_of(path: Path) -> list[Effect]:
    """Return the effect of every stored trial, by group, the best first, the base on top."""
    if not path.exists():
        return []
    trials: dict[str, dict[int, dict[str, float]]] = defaultdict(dict)
    for entry in json.loads(path.read_text(encoding="utf-8"))["trials"]:
        trials[entry["name"]][entry["seed"]] = entry
    effects = [_effect(name, runs, trials) for name, runs in trials.items()]
    return sorted(effects, key=lambda e: (e.group, e.change != BASE, -e.accuracy))


def _effect(
    name: str,
    runs: Mapping[int, Mapping[str, float]],
    trials: Mapping[str, Mapping[int, Mapping[str, float]]],
) -> Effect:
    group, change = name.split("/")
    base = trials.get(f"{group}/{BASE}", {})
    accuracies = [100 * run["validation_accuracy"] for run in runs.values()]
    differences = [
        100 * (run["validation_accuracy"] - base[seed]["validation_accuracy"])
        for seed, run in runs.items()
        if seed in base and change != BASE
    ]
    first = next(iter(runs.values()))
    return Effect(
        group=group,
        change=change,
        parameters=int(first["parameters"]),
        epochs=int(first["epochs"]),
        seeds=len(runs),
        accuracy=fmean(accuracies),
        mean=fmean(differences) if differences else None,
        deviation=stdev(differences) if len(differences) > 1 else None,
        half_width=t_interval(differences)[1] if len(differences) >= FEWEST else None,
    )
