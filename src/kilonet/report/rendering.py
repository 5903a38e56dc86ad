"""Render the facts of a run or a study as HTML, through templates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from kilonet.evaluation.metrics import Metrics
from kilonet.report import sentences
from kilonet.report.facts import ReportFacts, StudyFacts
from kilonet.report.formatting import (
    Column,
    Table,
    count,
    duration,
    percent,
)


def html(facts: ReportFacts, pictures: Mapping[str, str]) -> str:
    """Return the report as one HTML page. ``pictures`` maps file names to ``src`` values."""
    return _render("report.html.j2", _content(facts, pictures))


def study_html(facts: StudyFacts, pictures: Mapping[str, str]) -> str:
    """Return a study's report as one HTML page. ``pictures`` maps names to ``src`` values."""
    return _render("study.html.j2", {"facts": facts, "pictures": pictures})


def _render(template: str, content: Mapping[str, Any]) -> str:
    environment = Environment(
        loader=PackageLoader("kilonet.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template).render(content)


def _content(facts: ReportFacts, pictures: Mapping[str, str]) -> dict[str, Any]:
    metrics = facts.metrics
    return {
        "facts": facts,
        "answer": sentences.answer(facts),
        "accuracy": percent(metrics.accuracy),
        "headline": _headline(facts),
        "curves": {"src": pictures["training_metrics.png"], "alt": sentences.curves(facts)},
        "confusion": {
            "src": pictures["confusion_matrix.png"],
            "alt": sentences.confusions(metrics, facts.classes),
        },
        "mistakes": {"src": pictures["mistakes.png"], "alt": sentences.mistakes(facts)},
        "epochs": _epoch_table(facts),
        "per_class": _class_table(metrics),
        "layers": _layer_table(facts),
        "environment": _environment_table(facts),
        "validated": sentences.has_validation(facts),
        "checks": sentences.checks(facts),
        "measurement": sentences.measurement(facts),
    }


def _headline(facts: ReportFacts) -> list[tuple[str, str, str]]:
    """Return the main figures: name, value and a remark."""
    metrics = facts.metrics
    best = f"best on validation: {facts.best_epoch}"
    validated = sentences.has_validation(facts)
    return [
        ("test accuracy", percent(metrics.accuracy), sentences.interval(metrics)),
        ("parameters", f"{facts.parameters:,}", f"{facts.macs:,} MACs an image"),
        ("epochs", str(len(facts.history)), best if validated else "no validation images"),
        ("training", duration(facts.seconds_total), facts.stopped_because),
    ]


_EPOCH_COLUMNS: dict[str, tuple[str, Callable[[float], str]]] = {
    "learning_rate": ("learning rate", lambda rate: f"{rate:.3g}"),
    "train_loss": ("train loss", lambda loss: f"{loss:.4f}"),
    "train_accuracy": ("train accuracy", percent),
    "validation_loss": ("validation loss", lambda loss: f"{loss:.4f}"),
    "validation_accuracy": ("validation accuracy", percent),
    "test_accuracy": ("test accuracy (recorded only; no decision uses it)", percent),
    "seconds": ("seconds", lambda seconds: f"{seconds:.1f}"),
    "images_per_second": ("images/s", lambda speed: f"{speed:,.0f}"),
}


def _epoch_table(facts: ReportFacts) -> Table:
    """Return a row an epoch, without columns that are always empty; the best epoch is marked."""
    shown = [n for n in _EPOCH_COLUMNS if any(row.get(n) is not None for row in facts.history)]
    headings = [_EPOCH_COLUMNS[name][0] for name in shown]
    rows = [[str(row["epoch"]), *(_cell(row, name) for name in shown)] for row in facts.history]
    numbers = [int(row["epoch"]) for row in facts.history]
    best = numbers.index(facts.best_epoch) if facts.best_epoch in numbers else None
    return Table([Column("epoch"), *map(Column, headings)], rows, best)


def _class_table(metrics: Metrics) -> Table:
    """Return precision, recall and F1 of each class."""
    headings = [
        Column("class", figures=False),
        *map(Column, ("images", "precision", "recall", "F1")),
    ]
    rows = [
        [c.name, count(c.support), percent(c.precision), percent(c.recall), percent(c.f1)]
        for c in metrics.per_class
    ]
    return Table(headings, rows)


def _layer_table(facts: ReportFacts) -> Table:
    """Return a row a layer, and the totals."""
    names = [
        Column(name, figures=False) for name in ("layer", "in (C×H×W)", "kernel", "out (C×H×W)")
    ]
    rows = [[count(cell) for cell in row] for row in facts.layers]
    rows.append(["total", "", "", "", count(facts.parameters), count(facts.macs)])
    return Table([*names, Column("parameters"), Column("MACs")], rows, len(rows) - 1)


def _environment_table(facts: ReportFacts) -> Table:
    """Return the environment of the run."""
    columns = [Column("what", figures=False), Column("value", figures=False)]
    return Table(columns, [[name, value] for name, value in facts.environment.items()])


def _cell(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    return "" if value is None else _EPOCH_COLUMNS[name][1](float(value))
