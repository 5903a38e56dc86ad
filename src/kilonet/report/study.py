"""A study's report: one self-contained page with sortable tables, its pictures beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kilonet.atomic import write_text
from kilonet.report import _render
from kilonet.report._study import Curve, Point, study_costs, study_curves
from kilonet.report._tables import Column, Table
from kilonet.report.write import data_uri

__all__ = ["Column", "Curve", "Point", "StudyFacts", "Table", "write_study_report"]

CURVES = "accuracy_by_epoch.png"
COSTS = "accuracy_against_cost.png"


@dataclass(frozen=True)
class StudyFacts:
    """Everything that a study's report says."""

    title: str
    question: str
    """What was varied, with how many seeds."""
    answers: Sequence[str]
    """In plain words, a sentence each."""
    tables: Sequence[tuple[str, str, Table]]
    """Heading, caption and rows of each."""
    curves: Sequence[Curve]
    points: Sequence[Point]
    measurement: Sequence[str]
    """How it was measured, a paragraph each."""
    command: str
    """The line that repeats it."""


def write_study_report(path: Path, facts: StudyFacts) -> None:
    """Write the report to ``path``, with its pictures inside and as PNG files beside it.

    There is no picture of curves where no run had validation images, nor one of costs without a
    finished run. Equal facts give equal bytes.
    """
    pictures: dict[str, str] = {}
    if facts.curves:
        study_curves(facts.curves, path.parent / CURVES)
        pictures["Accuracy by epoch"] = data_uri(path.parent / CURVES)
    if facts.points:
        study_costs(facts.points, path.parent / COSTS)
        pictures["Accuracy against cost"] = data_uri(path.parent / COSTS)
    write_text(path, _render.study_html(facts, pictures))
