"""The tables of ``docs/reproduction.md``, and the README's table of recipes."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from doc_tables.claims import Claim, judge
from doc_tables.markdown import NONE, interval, percent, plural, span, table
from doc_tables.runs import Result, Run, read_result, sample_of, spread
from kilonet.errors import DataError
from kilonet.evaluation.statistics import wilson
from kilonet.recipe.fingerprint import fingerprint
from kilonet.recipe.load import resolve
from kilonet.recipe.schema import Recipe

EXPERIMENT = Path(__file__).resolve().parents[1] / "reproduction.toml"
_WEIGHTS = {
    "best": "those of the epoch with the highest validation accuracy",
    "last": "those of the last epoch",
}


class Measured(BaseModel):
    """A recipe with overrides, measured in ``results/LABEL.json``, and what its page claims."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    label: str
    recipe: str
    overrides: list[str] = []
    project: str = ""
    beside: str = ""
    archived: bool = False
    claim: Claim | None = None

    @property
    def resolved(self) -> Recipe:
        """The recipe with its overrides."""
        return resolve(self.recipe, self.overrides).recipe


class Experiment(BaseModel):
    """The content of ``reproduction.toml``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seeds: int
    readme: list[str]
    curves: list[str]
    run: list[Measured]


@cache
def read_experiment(path: Path = EXPERIMENT) -> Experiment:
    """Return the content of ``path``.

    Raises:
        DataError: it is not TOML, or a key or a figure is wrong.
    """
    try:
        return Experiment.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise DataError(f"{path}: {error}. Correct that entry.") from None


def measured(label: str) -> Measured:
    """Return the entry with this label.

    Raises:
        DataError: there is none.
    """
    found = [entry for entry in read_experiment().run if entry.label == label]
    if not found:
        raise DataError(f'{EXPERIMENT} has no run with the label "{label}". Add it.')
    return found[0]


def result_of(results: Path, entry: Measured) -> Result:
    """Return what was measured of ``entry``.

    Raises:
        DataError: the file measures another recipe.
    """
    result = read_result(results, entry.label)
    if (result.recipe, result.overrides) != (entry.recipe, entry.overrides):
        raise DataError(
            f"results/{entry.label}.json measures {result.recipe} {result.overrides}, but "
            f"{EXPERIMENT.name} has {entry.recipe} {entry.overrides}. Correct one of them."
        )
    return result


def accuracy(results: Path, label: str) -> str:
    """Return mean and standard deviation of the test accuracy, and the number of seeds."""
    sample = result_of(results, measured(label)).accuracy
    return f"{spread(sample)} % ({plural(len(sample.values), 'seed')})"


def claims_held(results: Path) -> str:
    """Return how many of the claims hold, such as ``3 of 14``."""
    claimed = [(e.claim, result_of(results, e)) for e in read_experiment().run if e.claim]
    held = sum(judge(claim, result).holds for claim, result in claimed)
    return f"{held} of {len(claimed)}"


def claims(results: Path) -> str:
    """Return one row for each claim: what is claimed, what was measured, and the verdict."""
    headings = [
        "recipe", "page", "parameters claimed", "measured", "epochs claimed", "run",
        "test accuracy claimed, %", "measured, % (mean ± sd)", "seeds", "95 % interval of the mean",
        "each seed, %", "does the claim hold?",
    ]  # fmt: skip
    entries = [entry for entry in read_experiment().run if entry.project]
    rows = [_claims_row(entry, result_of(results, entry)) for entry in entries]
    return table(headings, rows, left=(0, 1, 10, 11))


def _claims_row(entry: Measured, result: Result) -> list[str]:
    sample, claim = result.accuracy, entry.claim
    claimed = (
        [str(claim.parameters), str(claim.epochs), str(claim.accuracy)] if claim else [NONE] * 3
    )
    return [
        f"[`{entry.label}`](#{_anchor(entry.label)})", entry.project,
        claimed[0], f"{result.parameters:,}", claimed[1], span([run.epochs for run in result.runs]),
        claimed[2], spread(sample), str(len(sample.values)), interval(sample.interval),
        ", ".join(map(percent, sample.values)), str(judge(claim, result)) if claim else NONE,
    ]  # fmt: skip


def _anchor(heading: str) -> str:
    """Return the link to a heading; Markdown renderers leave out its dots."""
    return heading.replace(".", "")


def result(results: Path, label: str) -> str:
    """Return what is claimed and measured of one recipe, and which settings it has."""
    entry = measured(label)
    found, claim = result_of(results, entry), entry.claim
    rows = [
        ["parameters", _claimed(claim, "parameters"), f"{found.parameters:,}"],
        ["epochs", _claimed(claim, "epochs"), span([run.epochs for run in found.runs])],
        ["test accuracy, %", _claimed(claim, "accuracy"), spread(found.accuracy)],
    ]
    if claim and claim.train_accuracy:
        stated = str(claim.train_accuracy)
        rows.append(["training accuracy, %", stated, spread(found.train_accuracy)])
    headings = ["", "claimed", f"measured, {plural(len(found.runs), 'seed')}"]
    if claim is None:
        return table([headings[0], headings[2]], [[row[0], row[2]] for row in rows], left=(0,))
    rows.append(["does the claim hold?", "", str(judge(claim, found))])
    return table(headings, rows, left=(0, 1, 2))


def _claimed(claim: Claim | None, figure: str) -> str:
    return str(getattr(claim, figure)) if claim else NONE


def settings(results: Path, label: str) -> str:
    """Return which weights are tested, and the settings that a page omits or a recipe changes."""
    entry = measured(label)
    recipe = entry.resolved
    rows = [["weights tested", _weights(recipe)]]
    if recipe.assumed:
        rows.append(["settings that the page does not give", ", ".join(_assumed(recipe))])
    if entry.beside:
        other = resolve(entry.beside).recipe
        heading = f"settings that differ from `{entry.beside}` (its value)"
        rows.append([heading, ", ".join(_differences(recipe, other))])
    today, then = fingerprint(recipe), result_of(results, entry).fingerprint
    if today != then:
        rows.append(
            ["recipe changed since: fingerprint now, of these runs", f"`{today}`, `{then}`"]
        )
    return table(["", ""], rows, left=(0, 1))


def _weights(recipe: Recipe) -> str:
    averaged = ", averaged over steps" if recipe.training.ema is not None else ""
    return _WEIGHTS[recipe.training.keep] + averaged


def _assumed(recipe: Recipe) -> list[str]:
    keys = _flat(recipe.model_dump())
    return [f"`{name} = {_value(keys.get(name))}`" for name in recipe.assumed]


def _differences(recipe: Recipe, other: Recipe) -> list[str]:
    here, there = _flat(recipe.model_dump()), _flat(other.model_dump())
    names = [name for name in here if here[name] != there.get(name)]
    return [f"`{n} = {_value(here.get(n))}` ({_value(there.get(n))})" for n in names]


def _flat(sections: Mapping[str, Any]) -> dict[str, Any]:
    return {
        f"{section}.{key}": value
        for section, keys in sections.items()
        if isinstance(keys, dict) and section != "constraints"
        for key, value in keys.items()
    }


def _value(value: Any) -> str:
    return NONE if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def seeds(results: Path, label: str) -> str:
    """Return one row for each seed, and their mean."""
    found = result_of(results, measured(label))
    headings = [
        "seed", "test accuracy, %", "its 95 % Wilson interval", "best epoch", "epochs run",
        "seconds", "training accuracy at the end, %", "highest test accuracy of any epoch¹, %",
    ]  # fmt: skip
    highest = sample_of(run.highest_test for run in found.runs)
    seconds = sum(run.seconds for run in found.runs) / len(found.runs)
    mean = ["mean ± sd", spread(found.accuracy), "", "", "", f"{seconds:.0f}"]
    mean += [spread(found.train_accuracy), spread(highest)]
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
    entries = [e for e in read_experiment().run if e.project == project and e.claim]
    found = [result_of(results, entry) for entry in entries]
    rows = []
    for epoch in range(1, max(run.epochs for result in found for run in result.runs) + 1):
        stated = [
            str(e.claim.by_epoch[epoch]) for e in entries if e.claim and epoch in e.claim.by_epoch
        ]
        cells = [_epoch_cell(e.claim, r, epoch) for e, r in zip(entries, found, strict=True)]
        rows.append([str(epoch), " / ".join(dict.fromkeys(stated)) or NONE, *cells])
    return table(["epoch", "page, %", *(f"`{entry.label}`" for entry in entries)], rows)


def _epoch_cell(claim: Claim | None, result: Result, epoch: int) -> str:
    sample = result.recorded("test_accuracy", epoch)
    if sample is None:
        return NONE
    missing = len(result.runs) - len(sample.values)
    text = spread(sample) + (f" ({plural(len(sample.values), 'seed')})" if missing else "")
    if claim and epoch in claim.by_epoch:
        text += " ✓" if claim.by_epoch[epoch].reached_by(sample.mean) else " ✗"
    return text


def origins(results: Path) -> str:
    """Return where each result comes from: fingerprint, overrides, commit, device, time."""
    headings = ["result", "recipe fingerprint", "changed from the shipped recipe", "commit",
                "device", "seeds", "mean seconds"]  # fmt: skip
    rows = []
    for entry in read_experiment().run:
        found = result_of(results, entry)
        changes = ", ".join(f"`{override}`" for override in found.overrides) or NONE
        where = _environments([found])
        seconds = sum(run.seconds for run in found.runs) / len(found.runs)
        rows.append([
            f"`{entry.label}`", f"`{found.fingerprint}`", changes,
            where.get("commit", NONE), where.get("device", NONE),
            ", ".join(str(run.seed) for run in found.runs), f"{seconds:.0f}",
        ])  # fmt: skip
    return table(headings, rows, left=(0, 1, 2, 3, 4, 5))


def environments(results: Path) -> str:
    """Return the versions and machines of all runs: every value that occurs."""
    found = _environments(result_of(results, entry) for entry in read_experiment().run)
    return table(["", "all values that occur"], [list(row) for row in found.items()], left=(0, 1))


def _environments(results: Iterable[Result]) -> dict[str, str]:
    values: dict[str, dict[str, None]] = {}
    for run in (run for result in results for run in result.runs):
        for key, value in run.environment.items():
            values.setdefault(key, {})[value] = None
    joined = {key: ", ".join(filter(None, found)) for key, found in values.items()}
    return {key: value for key, value in joined.items() if value}


def recipes(results: Path) -> str:
    """Return the README's table: what each recipe reaches."""
    headings = ["recipe", "parameters", "epochs", "test accuracy, % (mean ± sd)", "what it is"]
    rows = [_recipes_row(measured(label), results) for label in read_experiment().readme]
    return table(headings, rows, left=(0, 4))


def _recipes_row(entry: Measured, results: Path) -> list[str]:
    found = result_of(results, entry)
    reached = f"{spread(found.accuracy)} ({plural(len(found.runs), 'seed')})"
    epochs = span([run.epochs for run in found.runs])
    title = entry.resolved.title
    return [f"`{entry.label}`", f"{found.parameters:,}", epochs, reached, title]
