"""The tables of ``docs/findings.md``: what each question's study found."""

from __future__ import annotations

from pathlib import Path

from doc_tables.markdown import NONE, percent, plural, table
from findings.questions import Question, read_questions
from findings.store import Store, Stored, best_rates, found_of, tried_rates
from kilonet.report.formatting import Table
from kilonet.studies.analysis import Analysis, analyse
from kilonet.studies.formatting import answers, cells_table, comparisons_table

OMITTED = "seconds"  # the machines did other work too


def _question(results: Path, name: str) -> tuple[Question, Stored]:
    (question,) = read_questions(wanted=[name])
    return question, Store(results / "findings").read(name)


def _analysis(results: Path, name: str) -> Analysis:
    question, stored = _question(results, name)
    rates = best_rates(question, stored)
    assert rates is not None, f"{name} has no learning rates yet"
    plan = question.plan(rates, sorted({run.seed for run in stored.runs}))
    return analyse(plan, *found_of(plan, stored))


def overview(results: Path) -> str:
    """Return one row for each question."""
    rows = []
    for question in read_questions():
        stored = Store(results / "findings").read(question.id)
        seeds = plural(len({run.seed for run in stored.runs}), "seed")
        title = question.entry.title
        link = f"[{title}](#{_anchor(title)})"
        rows.append([link, ", ".join(question.entry.pages), str(len(question.listed)), seeds])
    return table(["question", "pages", "cells", "run"], rows, left=(0, 1, 3))


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
    lines += [f"Left out, {cell}: {why}" for cell, why in analysis.failures.items()]
    return "\n\n".join([*parts, "\n".join(lines)])


def rates(results: Path, name: str) -> str:
    """Return the learning rates that were tried, and the validation accuracy of each."""
    question, stored = _question(results, name)
    rows = []
    for cell in question.listed:
        tried = tried_rates(question, cell.label, stored)
        if tried:
            words = [f"{rate:g} ({percent(100 * reached)})" for rate, reached in tried.items()]
            rows.append([cell.label, ", ".join(words)])
    return table(["cell", "learning rate (validation accuracy, %)"], rows, left=(0, 1))


def _markdown(content: Table) -> str:
    """Return ``content`` without its column of seconds; the marked row is bold."""
    headings = [column.heading for column in content.columns]
    kept = [place for place, heading in enumerate(headings) if heading != OMITTED]
    rows = [
        [f"**{row[i]}**" if place == content.marked and i == 0 else row[i] for i in kept]
        for place, row in enumerate(content.rows)
    ]
    return table([headings[i] for i in kept], rows, left=(0,))


def machines(results: Path) -> str:
    """Return the processors and PyTorch versions of all runs."""
    found = {
        (run.environment.get("processor") or NONE, run.environment.get("torch", NONE))
        for stored in Store(results / "findings").everywhere()
        for run in stored.runs
    }
    return table(["processor", "PyTorch"], [list(each) for each in sorted(found)], left=(0, 1))
