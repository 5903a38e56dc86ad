"""The rows of the tables of ``docs/reproduction.md``, and of the README's table of recipes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from doc_tables.results import (
    Claim,
    Result,
    Run,
    judge,
    measured,
    read_experiment,
    result_of,
    sample_of,
)
from doc_tables.tables import NONE, Row, interval, percent, span, table
from kilonet.evaluation.statistics import wilson
from kilonet.recipe.fingerprint import fingerprint
from kilonet.recipe.schema import Recipe
from kilonet.report.formatting import plural

_WEIGHTS = {
    "best": "those of the epoch with the highest validation accuracy",
    "last": "those of the last epoch",
}
_NO_CLAIM = SimpleNamespace(parameters=None, epochs=None, accuracy=None)


def accuracy(results: Path, label: str) -> Iterator[Row]:
    """Yield the result ``label``."""
    result = result_of(results, measured(label))
    yield {"result": result, "number": len(result.runs)}


def recipes(results: Path) -> Iterator[Row]:
    """Yield the entry and the result of each recipe in the README."""
    for label in read_experiment().readme:
        result = result_of(results, measured(label))
        yield {"entry": measured(label), "result": result, "number": len(result.runs)}


def claims_held(results: Path) -> Iterator[Row]:
    """Yield the number of claims that hold, and of all claims."""
    described = [e for e in read_experiment().run if e.claim and e.way == "described"]
    claimed = [(e.claim, result_of(results, e)) for e in described if e.claim]
    held = sum(judge(claim, result).holds for claim, result in claimed)
    yield {"held": held, "claims": len(claimed)}


def claims(results: Path) -> Iterator[Row]:
    """Yield what is claimed and measured of each recipe of a project, and the verdict."""
    for entry in read_experiment().run:
        if entry.project:
            result, claim = result_of(results, entry), entry.claim
            yield {
                "entry": entry,
                "anchor": entry.label.replace(".", ""),  # Markdown renderers leave out the dots
                "claimed": claim or _NO_CLAIM,
                "result": result,
                "number": len(result.runs),
                "verdict": judge(claim, result) if claim else None,
            }


def promises(results: Path) -> Iterator[Row]:
    """Yield the accuracy that a page claims and what its network reaches, by the way of training.

    A network is here if an entry tunes it or trains it freely.
    """
    runs = read_experiment().run
    for entry in runs:
        others = {e.way: e for e in runs if e.improves_on == entry.label and e.project}
        if entry.claim and others:
            ways = {"described": entry, **others}
            reached = {way: f"{result_of(results, e).accuracy}" for way, e in ways.items()}
            yield {"entry": entry, "claimed": entry.claim, "tuned": None, "free": None, **reached}


def origins(results: Path) -> Iterator[Row]:
    """Yield where each result comes from."""
    for entry in read_experiment().run:
        result = result_of(results, entry)
        where = _environments([result])
        yield {
            "entry": entry,
            "result": result,
            "changes": ", ".join(f"`{override}`" for override in result.overrides) or None,
            "commit": where.get("commit"),
            "device": where.get("device"),
            "seeds": [run.seed for run in result.runs],
        }


def environments(results: Path) -> Iterator[Row]:
    """Yield the versions and machines of all runs: every value that occurs."""
    found = _environments(result_of(results, entry) for entry in read_experiment().run)
    for name, values in found.items():
        yield {"name": name, "values": values}


def _environments(results: Iterable[Result]) -> dict[str, str]:
    values: dict[str, dict[str, None]] = {}
    for run in (run for result in results for run in result.runs):
        for key, value in run.environment.items():
            values.setdefault(key, {})[value] = None
    joined = {key: ", ".join(filter(None, found)) for key, found in values.items()}
    return {key: value for key, value in joined.items() if value}


def result(results: Path, label: str) -> str:
    """Return a table of what is claimed and measured of one recipe."""
    entry = measured(label)
    found, claim = result_of(results, entry), entry.claim
    claimed = claim or _NO_CLAIM
    rows = [
        ["parameters", str(claimed.parameters), f"{found.parameters:,}"],
        ["epochs", str(claimed.epochs), span(found.epochs)],
        ["test accuracy, %", str(claimed.accuracy), str(found.accuracy)],
    ]
    if claim and claim.train_accuracy:
        train = str(found.train_accuracy or NONE)
        rows.append(["training accuracy, %", str(claim.train_accuracy), train])
    headings = ["", "claimed", f"measured, {plural(len(found.runs), 'seed')}"]
    if claim is None:
        return table([headings[0], headings[2]], [[row[0], row[2]] for row in rows], left=(0,))
    rows.append(["does the claim hold?", "", str(judge(claim, found))])
    return table(headings, rows, left=(0, 1, 2))


def settings(results: Path, label: str) -> str:
    """Return which weights are tested, and the settings that a page omits or a recipe changes."""
    entry = measured(label)
    recipe = entry.resolved
    keys = _flat(recipe)
    averaged = ", averaged over steps" if recipe.training.ema is not None else ""
    rows = [["weights tested", _WEIGHTS[recipe.training.keep] + averaged]]
    if recipe.assumed:
        assumed = [f"`{name} = {_value(keys.get(name))}`" for name in recipe.assumed]
        rows.append(["settings that the page does not give", ", ".join(assumed)])
    if entry.improves_on:
        other = _flat(measured(entry.improves_on).resolved)
        heading = f"settings that differ from `{entry.improves_on}` (its value)"
        rows.append([heading, ", ".join(_differences(keys, other))])
    current, measured_then = fingerprint(recipe), result_of(results, entry).fingerprint
    if current != measured_then:
        heading = "recipe changed since: fingerprint now, of these runs"
        rows.append([heading, f"`{current}`, `{measured_then}`"])
    return table(["", ""], rows, left=(0, 1))


def _differences(keys: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    names = [name for name in keys if keys[name] != other.get(name)]
    return [f"`{n} = {_value(keys[n])}` ({_value(other.get(n))})" for n in names]


def _flat(recipe: Recipe) -> dict[str, Any]:
    return {
        f"{section}.{key}": value
        for section, keys in recipe.model_dump().items()
        if isinstance(keys, dict) and section != "constraints"
        for key, value in keys.items()
    }


def _value(value: Any) -> str:
    return NONE if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def seeds(results: Path, label: str) -> str:
    """Return a table with a row for each seed, and their mean."""
    found = result_of(results, measured(label))
    headings = [
        "seed", "test accuracy, %", "its 95 % Wilson interval", "best epoch", "epochs run",
        "seconds", "training accuracy at the end, %", "highest test accuracy of any epoch¹, %",
    ]  # fmt: skip
    highest = sample_of(run.highest_test for run in found.runs)
    mean = ["mean ± sd", str(found.accuracy), "", "", "", f"{found.seconds:.0f}"]
    mean += [str(sample or NONE) for sample in (found.train_accuracy, highest)]
    return table(headings, [*map(_seed_row, found.runs), mean])


def _seed_row(run: Run) -> list[str]:
    low, high = wilson(run.test_correct, run.test_total)
    train = run.recorded("train_accuracy").get(run.epochs)
    return [
        str(run.seed), percent(run.accuracy), interval((100 * low, 100 * high)),
        str(run.best_epoch), str(run.epochs), f"{run.seconds:.0f}", percent(train),
        percent(run.highest_test),
    ]  # fmt: skip


def by_epoch(results: Path, project: str) -> str:
    """Return the test accuracy after each epoch beside the figures that a page claims."""
    claimed = [
        (entry, entry.claim, result_of(results, entry))
        for entry in read_experiment().run
        if entry.project == project and entry.claim
    ]
    rows = []
    for epoch in range(1, max(max(result.epochs) for _, _, result in claimed) + 1):
        stated = [str(c.by_epoch[epoch]) for _, c, _ in claimed if epoch in c.by_epoch]
        cells = [_epoch_cell(claim, result, epoch) for _, claim, result in claimed]
        rows.append([str(epoch), " / ".join(dict.fromkeys(stated)) or NONE, *cells])
    return table(["epoch", "page, %", *(f"`{entry.label}`" for entry, _, _ in claimed)], rows)


def _epoch_cell(claim: Claim, result: Result, epoch: int) -> str:
    sample = result.recorded("test_accuracy", epoch)
    if sample is None:
        return NONE
    missing = len(result.runs) - len(sample.values)
    text = str(sample) + (f" ({plural(len(sample.values), 'seed')})" if missing else "")
    if epoch in claim.by_epoch:
        text += " ✓" if claim.by_epoch[epoch].allows_accuracy(sample.mean) else " ✗"
    return text


ROWS = (accuracy, recipes, claims_held, claims, promises, origins, environments)
