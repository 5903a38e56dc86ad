"""Write ``docs/findings.md`` from ``questions.toml`` and ``results/findings/*.json``.

python scripts/findings/page.py [--check]
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from findings.questions import QUESTIONS, Question, Said, read_questions
from findings.store import Store, Stored, best_rates, found_of, tried_rates
from kilonet.models.measure import count_parameters
from kilonet.recipe.load import resolve
from kilonet.report.formatting import Table
from kilonet.studies.analysis import Analysis, analyse
from kilonet.studies.tables import cells_table, comparisons_table
from kilonet.studies.words import sentences
from kilonet.workflows.load import network_for
from rendering import render, write_or_check
from reproduction.words import NONE, percent, plural, table

NOT_RUN = "not run yet"
LEFT_OUT = "seconds"  # of machines that did other things too


@dataclass(frozen=True)
class Answered:
    """A question as the page shows it; all but the first five are empty before it was run."""

    title: str
    claims: list[Said]
    notes: str
    commands: list[str]
    rates: str
    seeds: str = ""
    several: bool = False
    cells: str = ""
    comparisons: str = ""
    answers: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def findings(results: Path, questions: Path = QUESTIONS) -> str:
    """Return the page, of what is in the folder ``results``.

    Raises:
        UsageError: the questions, or a results file, are not what they should be.
    """
    asked = read_questions(questions)
    store = Store(results / "findings")
    shown = [_answered(question, store.read(question.id)) for question in asked]
    recipe = resolve(asked[0].recipe).recipe
    return render(
        Path(__file__).with_name("page.md.j2"),
        recipe=asked[0].recipe,
        parameters=f"{count_parameters(network_for(recipe)):,}",
        epochs=recipe.training.epochs,
        search_epochs=asked[0].search.epochs,
        machine=_machines(store),
        overview=_overview(asked, shown),
        questions=shown,
    )


def _overview(asked: Sequence[Question], shown: Sequence[Answered]) -> str:
    rows = [
        [
            f"[{each.title}](#{_anchor(each.title)})",
            ", ".join(dict.fromkeys(claim.page for claim in each.claims)),
            str(len(question.listed)),
            each.seeds or NOT_RUN,
        ]
        for question, each in zip(asked, shown, strict=True)
    ]
    return table(["question", "pages", "cells", "run"], rows, texts=(0, 1, 3))


def _anchor(heading: str) -> str:
    kept = "".join(each for each in heading.lower() if each.isalnum() or each in " -")
    return "-".join(kept.split())


def _answered(question: Question, stored: Stored) -> Answered:
    entry = question.entry
    begins = (entry.title, list(entry.claims), " ".join(entry.notes), question.commands())
    rates = best_rates(question, stored)
    tried = _rates(question, stored)
    if rates is None:
        return Answered(*begins, tried)
    seeds = sorted({run.seed for run in stored.runs})
    plan = question.plan(rates, seeds)
    found, failures = found_of(plan, stored)
    if not any(found):
        return Answered(*begins, tried)
    analysis = analyse(plan, found, failures)
    least = min(map(len, found))
    return Answered(
        *begins,
        tried,
        seeds=plural(least, "seed") if least == max(map(len, found)) else "some of the seeds",
        several=least != 1,
        cells=_markdown(cells_table(analysis)),
        comparisons=_markdown(comparisons_table(analysis)) if analysis.comparisons else "",
        answers=[_sentence(each) for each in sentences(analysis)],
        failures=_failures(analysis),
    )


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def _failures(analysis: Analysis) -> list[str]:
    return [f"Left out, {name}: {why}" for name, why in analysis.failures.items()]


def _rates(question: Question, stored: Stored) -> str:
    parts = []
    for cell in question.listed:
        tried = tried_rates(question, cell.label, stored)
        if tried:
            words = [f"{rate:g} ({percent(100 * reached)})" for rate, reached in tried.items()]
            parts.append(f"{cell.label}: {', '.join(words)}")
    return "; ".join(parts) + "." if parts else ""


def _markdown(content: Table) -> str:
    """Return the table without the columns that are left out; what is marked is bold."""
    headings = [column.heading for column in content.columns]
    kept = [place for place, heading in enumerate(headings) if heading != LEFT_OUT]
    rows = [
        [f"**{row[i]}**" if place == content.marked and i == 0 else row[i] for i in kept]
        for place, row in enumerate(content.rows)
    ]
    return table([headings[i] for i in kept], rows, texts=(0,))


def _machines(store: Store) -> str:
    """Return what the runs were made with, each that there was."""
    said = {
        f"{run.environment.get('processor') or NONE}, PyTorch {run.environment.get('torch', NONE)}"
        for stored in store.everywhere()
        for run in stored.runs
    }
    return (
        f"The figures here are of {' and of '.join(sorted(said))}, one thread a run."
        if said
        else ""
    )


def changed(_: str, results: Path) -> str:
    """Return the text of the page."""
    return findings(results)


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line asks."""
    return write_or_check("findings", changed, __doc__ or "", arguments)


if __name__ == "__main__":
    sys.exit(main())
