"""The tables of ``docs/frontier.md``: trained budgets, published records, search trials."""

from __future__ import annotations

import tomllib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import fmean, stdev

from pydantic import BaseModel, ConfigDict

from doc_tables.exports import forms
from doc_tables.markdown import NONE, interval, percent, read_json, table
from doc_tables.runs import read_result, spread
from kilonet.evaluation.statistics import t_interval
from kilonet.recipe.load import resolve

EXPERIMENT = Path(__file__).resolve().parents[1] / "frontier.toml"
MIN_SEEDS = 3  # for an interval of a trial's effect
BASE = "base"  # the trial that the other trials of a group are compared with


class _Layout(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Budget(_Layout):
    """The maximum number of parameters of the recipe ``name``."""

    name: str
    parameters: int
    dataset: str = "mnist"


class Record(_Layout):
    """A published network: parameters, test accuracy in percent, and how it was obtained."""

    parameters: int
    accuracy: float
    how: str
    source: str
    dataset: str = "mnist"


class Frontier(_Layout):
    """The content of ``frontier.toml``."""

    seeds: int
    budget: list[Budget]
    record: list[Record]

    def budgets(self, dataset: str) -> list[Budget]:
        """Return the budgets for ``dataset``."""
        return [budget for budget in self.budget if budget.dataset == dataset]

    def records(self, dataset: str) -> list[Record]:
        """Return the records on ``dataset``."""
        return [record for record in self.record if record.dataset == dataset]


@cache
def read_frontier() -> Frontier:
    """Return the content of ``frontier.toml``."""
    return Frontier.model_validate(tomllib.loads(EXPERIMENT.read_text(encoding="utf-8")))


def budgets(results: Path, dataset: str) -> str:
    """Return what was reached within each budget on ``dataset``."""
    headings = ["model", "parameters at most", "parameters", "epochs"]
    headings += ["test accuracy, % (mean ± sd)", "seeds", "95 % interval of the mean"]
    headings += ["each seed, %", "int8 in C, %", "non-zero (%)"]
    int8 = {e.recipe: form.verification.accuracy for e, form in forms(results, "c-int8")}
    pruned = read_json(results / "frontier-sparse.json")["models"]
    sparse = {
        entry["name"]: f"{entry['nonzero']:,} "
        f"({percent(100 * entry['test_correct'] / entry['test_total'])})"
        for entry in pruned
    }
    rows = []
    for budget in read_frontier().budgets(dataset):
        result, name = read_result(results, budget.name), budget.name
        accuracy = result.accuracy
        rows.append([
            f"`{name}`", f"{budget.parameters:,}", f"{result.parameters:,}",
            str(result.runs[0].epochs), spread(accuracy), str(len(accuracy.values)),
            interval(accuracy.interval), ", ".join(map(percent, accuracy.values)),
            percent(100 * int8[name]) if name in int8 else NONE, sparse.get(name, NONE),
        ])  # fmt: skip
    return table(headings, rows, left=(0, 7))


def networks(results: Path, dataset: str) -> str:
    """Return the layers of each budget's network."""
    rows = []
    for budget in read_frontier().budgets(dataset):
        layers = resolve(budget.name).recipe.model.model_dump()["layers"]
        result = read_result(results, budget.name)
        epochs = str(result.runs[0].epochs)
        rows.append([f"`{budget.name}`", f"`{layers}`", f"{result.parameters:,}", epochs])
    return table(["model", "layers", "parameters", "epochs"], rows, left=(0, 1))


def records(_: Path, dataset: str) -> str:
    """Return what others have published on ``dataset``."""
    headings = ["parameters", "test accuracy, %", "how it was obtained", "source"]
    found = read_frontier().records(dataset)
    rows = [[f"{r.parameters:,}", percent(r.accuracy), r.how, r.source] for r in found]
    return table(headings, rows, left=(2, 3))


@dataclass(frozen=True)
class Effect:
    """The effect of one change to the base of its group, on validation accuracy in points.

    ``mean`` and ``deviation`` are over the seeds that both have, each compared with the same seed
    of the base: a seed draws the split as well, so both were judged on the same images.
    ``half_width`` is that of Student's 95 % interval, of three seeds or more.
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


def effects_of(path: Path) -> list[Effect]:
    """Return the effect of every stored trial, by group: the base first, then the best."""
    trials: dict[str, dict[int, dict[str, float]]] = defaultdict(dict)
    for entry in read_json(path)["trials"]:
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
        accuracy=fmean(100 * run["validation_accuracy"] for run in runs.values()),
        mean=fmean(differences) if differences else None,
        deviation=stdev(differences) if len(differences) > 1 else None,
        half_width=t_interval(differences)[1] if len(differences) >= MIN_SEEDS else None,
    )


def trials(results: Path) -> str:
    """Return the effect of every trial of the search, a table for each group."""
    effects = effects_of(results / "frontier-search.json")
    groups = dict.fromkeys(effect.group for effect in effects)
    return "\n\n".join(
        f"### {group}\n\n{_effects([e for e in effects if e.group == group])}" for group in groups
    )


def _effects(effects: list[Effect]) -> str:
    headings = ["change", "parameters", "epochs", "seeds", "validation accuracy, %"]
    rows = [
        [
            effect.change, f"{effect.parameters:,}", str(effect.epochs), str(effect.seeds),
            percent(effect.accuracy), "the base" if effect.change == BASE else _difference(effect),
        ]
        for effect in effects
    ]  # fmt: skip
    return table([*headings, "against the base, points"], rows, left=(0,))


def _difference(effect: Effect) -> str:
    if effect.mean is None:
        return NONE
    if effect.half_width is not None:
        low, high = effect.mean - effect.half_width, effect.mean + effect.half_width
        return f"{effect.mean:+.2f} ({low:+.2f} to {high:+.2f})"
    deviation = "" if effect.deviation is None else f" ± {effect.deviation:.2f}"
    return f"{effect.mean:+.2f}{deviation}"
