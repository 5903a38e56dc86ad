"""What the commands print of runs and metrics, as Rich tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from kilonet.api.check import check
from kilonet.api.run import Run
from kilonet.paths import runs_dir
from kilonet.runs.changelog import change_log as entries_of
from kilonet.runs.directory import list_runs

if TYPE_CHECKING:
    from kilonet.evaluation.metrics import Metrics


def print_outcome(run: Run, console: Console) -> None:
    """Print what a finished run reached, its checklist, and where the report is."""
    test = run.test
    console.print(
        f"\n[bold]{test.accuracy:.2%}[/] of {test.total:,} test images right "
        f"(95 % interval {test.wilson_low:.2%} to {test.wilson_high:.2%}), "
        f"data set {run.recipe.data.name}",
        soft_wrap=True,
        highlight=False,
    )
    for line in check(run):
        mark = "[green]✓[/]" if line.passed else "[red]✗[/]"
        console.print(f"{mark} {line.label}: {line.detail}", highlight=False)
    console.print(f"Report: {run.report}", soft_wrap=True, highlight=False)


def metrics_table(metrics: Metrics, title: str) -> Table:
    """Return precision, recall and F1 by class, with the overall figures as the caption."""
    table = Table(title=title, box=None, pad_edge=False, title_justify="left")
    table.add_column("class")
    for column in ("precision", "recall", "F1", "images"):
        table.add_column(column, justify="right")
    for entry in metrics.per_class:
        figures = (f"{value:.2%}" for value in (entry.precision, entry.recall, entry.f1))
        table.add_row(entry.name, *figures, f"{entry.support:,}")
    table.caption = (
        f"accuracy {metrics.accuracy:.2%} ({metrics.correct:,} of {metrics.total:,}; 95 % interval "
        f"{metrics.wilson_low:.2%} to {metrics.wilson_high:.2%}), loss {metrics.loss:.4f}, "
        f"calibration error {metrics.calibration_error:.4f}"
    )
    table.caption_justify = "left"
    return table


def change_log(folder: Path | None = None) -> Table | str:
    """Return the change log of the runs in ``folder``, or a sentence where there are none."""
    where = folder or runs_dir()
    entries = entries_of(list_runs(where))
    if not entries:
        return f'There are no runs in {where}. "kilonet train" makes one.'
    table = Table(box=None, pad_edge=False)
    for column in ("run", "params", "network", "data", "epochs", "rate / schedule"):
        table.add_column(column, justify="right" if column in ("params", "epochs") else "left")
    for column in ("train", "validation", "test"):
        table.add_column(column, justify="right")
    table.add_column("what changed")
    for entry in entries:
        accuracies = (entry.train_accuracy, entry.validation_accuracy, entry.test_accuracy)
        table.add_row(
            entry.name,
            f"{entry.parameters:,}" if entry.parameters is not None else "–",
            entry.network,
            entry.dataset,
            str(entry.epochs),
            entry.rate,
            *(f"{value:.2%}" if value is not None else "–" for value in accuracies),
            entry.changed,
        )
    return table
