"""The rows of ``docs/frontier.md``: trained budgets, published records, search trials."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import fmean, stdev

from benchmarks.results import Layout

from doc_tables.measurements import export_forms
from doc_tables.results import Result
from doc_tables.tables import NONE, Row, percent, read_json, read_model, table
from kilonet.evaluation.statistics import t_interval
from kilonet.recipe.load import resolve

EXPERIMENT = Path(__file__).resolve().parents[1] / "frontier.toml"
MIN_SEEDS = 3  # for an interval of a trial's effect
BASE = "base"  # the trial that the other trials of a group are compared with


class Budget(Layout):
    """The maximum number of parameters of the recipe ``name``."""

    name: str
    parameters: int
    dataset: str = "mnist"


class PublishedNetwork(Layout):
    """A published network: parameters, test accuracy in percent, and how it was obtained."""

    parameters: int
    accuracy: float
    how: str
    source: str
    dataset: str = "mnist"


class Frontier(Layout):
    """The content of ``frontier.toml``."""

    seeds: int
    budget: list[Budget]
    record: list[PublishedNetwork]

    def budgets(self, dataset: str) -> list[Budget]:
        """Return the budgets for ``dataset``."""
        return [budget for budget in self.budget if budget.dataset == dataset]

    def records(self, dataset: str) -> list[PublishedNetwork]:
        """Return the records on ``dataset``."""
        return [record for record in self.record if record.dataset == dataset]


@cache
def read_frontier() -> Frontier:
    """Return the content of ``frontier.toml``."""
    return read_model(EXPERIMENT, Frontier)


def networks(results: Path, dataset: str) -> Iterator[Row]:
    """Yield the budgets for ``dataset``, the layers of the network of each, and its result."""
    for budget in read_frontier().budgets(dataset):
        result = read_model(results / f"{budget.name}.json", Result)
        yield {
            "budget": budget,
            "layers": resolve(budget.name).recipe.model.model_dump()["layers"],
            "result": result,
            "epochs": result.epochs[0],
            "number": len(result.runs),
        }


def budgets(results: Path, dataset: str) -> Iterator[Row]:
    """Yield what was reached within each budget on ``dataset``, also in int8."""
    int8 = {
        row["network"]["recipe"]: row["found"]["accuracy"]
        for row in export_forms(results)
        if row["target"] == "c-int8"
    }
    for row in networks(results, dataset):
        yield row | {"int8": int8.get(row["budget"].name)}


def records(_: Path, dataset: str) -> Iterator[Row]:
    """Yield what others have published on ``dataset``."""
    for record in read_frontier().records(dataset):
        yield {"record": record}


@dataclass(frozen=True)
class Effect:
    """The effect of one change to the base of its group, on validation accuracy in points.

    ``mean`` and ``deviation`` are over the seeds that both have, each compared with the same seed
    of the base: a seed also determines the validation split, so both are evaluated on the same
    images. ``half_width`` is that of Student's 95 % interval, None with fewer than three seeds.
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


ROWS = (budgets, networks, records)
