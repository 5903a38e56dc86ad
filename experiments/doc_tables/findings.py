"""The rows and tables of ``docs/findings.md``: what each question's study found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import run
from doc_tables.tables import Row, percent, read_json, table
from kilonet.errors import UsageError
from kilonet.recipe.load import resolve
from kilonet.report.formatting import Table
from kilonet.studies.analysis import Analysis, analyse
from kilonet.studies.directory import RunResult
from kilonet.studies.formatting import answers, cells_table, comparisons_table
from kilonet.studies.grid import GridCell
from kilonet.studies.plan import make_plan

OMITTED = "seconds"  # not comparable: other programs ran on these machines


def _question(name: str) -> Any:
    for question in run.read("findings")["question"]:
        if question["id"] == name:
            return question
    raise UsageError(f'findings.toml has no question "{name}".')


def _stored(results: Path, name: str) -> Any:
    return read_json(results / "findings" / f"{name}.json")


def _analysis(results: Path, name: str) -> Analysis:
    question, stored = _question(name), _stored(results, name)
    seeds = sorted({entry["seed"] for entry in stored["runs"]})
    trainings = run.cells(run.read("findings"), question, seeds[0])
    cells = [GridCell((), cell["label"], cell["label"]) for cell in question["cell"]]
    resolved = [resolve(each.source, each.overrides) for each in trainings]
    plan = replace(make_plan(resolved, cells, seeds=1, baseline=0), seeds=seeds)
    runs = {(entry["fingerprint"], entry["seed"]): entry for entry in stored["runs"]}
    found = [
        [_found(runs[key, seed]) for seed in seeds if (key, seed) in runs]
        for key in (training.key[0] for training in trainings)
    ]
    return analyse(plan, found, _failures(question, trainings, stored))


def _found(entry: dict[str, Any]) -> RunResult:
    return RunResult(
        name=f"{entry['fingerprint']}-s{entry['seed']}",
        seed=entry["seed"],
        accuracy=entry["test_accuracy"],
        dataset=entry["dataset"],
        images=entry["images"],
        wrong=frozenset(entry["wrong"]),
        history=tuple({"validation_accuracy": each} for each in entry["validation_accuracy"]),
        parameters=entry["parameters"],
        macs=entry["macs"],
        seconds=entry["seconds"],
    )


def _failures(question: Any, trainings: Sequence[run.Training], stored: Any) -> dict[str, str]:
    labels = {
        training.key[0]: cell["label"]
        for training, cell in zip(trainings, question["cell"], strict=True)
    }
    return {
        f"{labels[each['fingerprint']]}, seed {each['seed']}": each["message"]
        for each in stored["failures"]
        if each["fingerprint"] in labels
    }


def overview(results: Path) -> Iterator[Row]:
    """Yield each question, with the number of its cells and seeds."""
    for question in run.read("findings")["question"]:
        seeds = {entry["seed"] for entry in _stored(results, question["id"])["runs"]}
        yield question | {
            "anchor": _anchor(question["title"]),
            "cells": len(question["cell"]),
            "number": len(seeds),
        }


def _anchor(heading: str) -> str:
    kept = "".join(each for each in heading.lower() if each.isalnum() or each in " -")
    return "-".join(kept.split())


def findings(results: Path, name: str) -> str:
    """Return the cells of a question, their comparisons, and the result in sentences."""
    analysis = _analysis(results, name)
    parts = [_markdown(cells_table(analysis))]
    if analysis.comparisons:
        parts.append(_markdown(comparisons_table(analysis)))
    lines = [each[0].upper() + each[1:] for each in answers(analysis)]
    lines += [f"Failed and left out: {cell} ({why})" for cell, why in analysis.failures.items()]
    return "\n\n".join([*parts, "\n".join(lines)])


def rates(results: Path, name: str) -> Iterator[Row]:
    """Yield the learning rates that were tried for each cell, and the accuracy of each."""
    question = _question(name)
    reached = {
        (trial["fingerprint"], trial["seed"]): trial["validation_accuracy"]
        for trial in _stored(results, name)["trials"]
    }
    tried = iter(run.rate_trials(run.read("findings"), question))
    for cell in question["cell"]:
        if trials := [next(tried) for _ in cell.get("tried", [])]:
            texts = [f"{t.rate:g} ({percent(100 * reached[t.key])})" for t in trials]
            yield {"label": cell["label"], "rates": texts}


def _markdown(content: Table) -> str:
    """Return ``content`` without its column of seconds; the marked row is bold."""
    headings = [column.heading for column in content.columns]
    kept = [place for place, heading in enumerate(headings) if heading != OMITTED]
    rows = [
        [f"**{row[i]}**" if place == content.marked and i == 0 else row[i] for i in kept]
        for place, row in enumerate(content.rows)
    ]
    return table([headings[i] for i in kept], rows, left=(0,))


def machines(results: Path) -> Iterator[Row]:
    """Yield the processors and PyTorch versions of all runs."""
    found = {
        (where.get("processor"), where.get("torch"))
        for path in (results / "findings").glob("*.json")
        for where in (entry["environment"] for entry in read_json(path)["runs"])
    }
    for processor, torch in sorted(found, key=str):
        yield {"processor": processor or None, "torch": torch}


ROWS = (machines, overview, rates)
