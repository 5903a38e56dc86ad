"""The tables of a report, as text; how they look is the templates' business."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kilonet.evaluation.metrics import Metrics
from kilonet.report.facts import ReportFacts
from kilonet.report.words import count, percent


@dataclass(frozen=True)
class Column:
    """A table's column: its heading, and whether it holds figures (and is set to the right)."""

    heading: str
    figures: bool = True


@dataclass(frozen=True)
class Table:
    """Rows of text under headings. ``marked`` is the place of a row to stand out, if any."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
    marked: int | None = None


_EPOCH_COLUMNS: dict[str, tuple[str, Callable[[float], str]]] = {
    "learning_rate": ("learning rate", lambda rate: f"{rate:.3g}"),
    "train_loss": ("train loss", lambda loss: f"{loss:.4f}"),
    "train_accuracy": ("train accuracy", percent),
    "validation_loss": ("validation loss", lambda loss: f"{loss:.4f}"),
    "validation_accuracy": ("validation accuracy", percent),
    "test_accuracy": ("test accuracy (recorded, decided nothing)", percent),
    "seconds": ("seconds", lambda seconds: f"{seconds:.1f}"),
    "images_per_second": ("images/s", lambda speed: f"{speed:,.0f}"),
}


def epochs(facts: ReportFacts) -> Table:
    """Return a row per epoch, without the columns that no epoch has; the best one is marked."""
    shown = [n for n in _EPOCH_COLUMNS if any(row.get(n) is not None for row in facts.history)]
    headings = [_EPOCH_COLUMNS[name][0] for name in shown]
    rows = [[str(row["epoch"]), *(_cell(row, name) for name in shown)] for row in facts.history]
    numbers = [int(row["epoch"]) for row in facts.history]
    best = numbers.index(facts.best_epoch) if facts.best_epoch in numbers else None
    return Table([Column("epoch"), *map(Column, headings)], rows, best)


def per_class(metrics: Metrics) -> Table:
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


def layers(facts: ReportFacts) -> Table:
    """Return the network layer by layer, with its totals."""
    names = [
        Column(name, figures=False) for name in ("layer", "in (C×H×W)", "kernel", "out (C×H×W)")
    ]
    rows = [[count(cell) for cell in row] for row in facts.layers]
    rows.append(["total", "", "", "", count(facts.parameters), count(facts.macs)])
    return Table([*names, Column("parameters"), Column("MACs")], rows, len(rows) - 1)


def environment(facts: ReportFacts) -> Table:
    """Return what the run ran on."""
    columns = [Column("what", figures=False), Column("value", figures=False)]
    return Table(columns, [[name, value] for name, value in facts.environment.items()])


def _cell(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    return "" if value is None else _EPOCH_COLUMNS[name][1](float(value))
