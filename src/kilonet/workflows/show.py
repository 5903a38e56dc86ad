"""What the commands print of recipes, data sets, runs and metrics, as Rich tables."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from kilonet.paths import runs_dir
from kilonet.recipe.catalog import recipe_names
from kilonet.recipe.load import resolve
from kilonet.runs.changelog import ChangeLogEntry, change_log
from kilonet.runs.compliance import ConstraintCheck
from kilonet.runs.find import list_runs
from kilonet.workflows.check import check
from kilonet.workflows.run import Run

if TYPE_CHECKING:
    from kilonet.evaluation.metrics import Metrics
    from kilonet.evaluation.robustness import RobustnessCell
    from kilonet.workflows.export import Export
    from kilonet.workflows.robustness import RobustnessReport


def print_outcome(run: Run, console: Console) -> None:
    """Print what a finished run reached, its checklist, and where the report is."""
    test = run.test
    line = (
        f" of {test.total:,} test images right (95 % interval {test.wilson_low:.2%} to "
        f"{test.wilson_high:.2%}), data set {run.directory.metrics()['dataset']}"
    )
    console.print()
    console.print(Text.assemble((f"{test.accuracy:.2%}", "bold"), line), soft_wrap=True)
    print_checks(check(run), console)
    if note := run.directory.facts.get("onnx_note"):
        console.print(Text.assemble(("Note:", "bold yellow"), f" {note}"), soft_wrap=True)
    console.print(Text(f"Report: {run.report}"), soft_wrap=True)


def print_checks(checks: Sequence[ConstraintCheck], console: Console) -> None:
    """Print the lines of a compliance checklist, each with its ✓ or ✗."""
    for line in checks:
        mark = ("✓", "green") if line.passed else ("✗", "red")
        console.print(Text.assemble(mark, f" {line.label}: {line.detail}"), soft_wrap=True)


def recipes_table() -> Table:
    """Return the recipes that ship."""
    table = plain_table("recipe", "network", "epochs>", "what it is")
    for name in recipe_names():
        recipe = resolve(name).recipe
        table.add_row(name, recipe.model.name, str(recipe.training.epochs), recipe.title)
    return table


def datasets_table(data_dir: Path | None = None) -> Table:
    """Return the data sets, and where each was found; ``data_dir`` is looked in first."""
    from kilonet.data.catalogue import catalogue

    table = plain_table("name", "what", "training>", "test>", "found in", "licence")
    for entry in catalogue(data_dir):
        table.add_row(
            entry.name,
            entry.title,
            f"{entry.train_count:,}",
            f"{entry.test_count:,}",
            entry.source or "–",
            entry.licence,
        )
    return table


def metrics_table(metrics: Metrics, title: str) -> Table:
    """Return precision, recall and F1 by class, with the overall figures as the caption."""
    table = plain_table("class", "precision>", "recall>", "F1>", "images>")
    table.title = Text(title, style="bold")
    for entry in metrics.per_class:
        figures = (f"{value:.2%}" for value in (entry.precision, entry.recall, entry.f1))
        table.add_row(entry.name, *figures, f"{entry.support:,}")
    table.caption = Text(
        f"accuracy {metrics.accuracy:.2%} ({metrics.correct:,} of {metrics.total:,})\n"
        f"95 % interval {metrics.wilson_low:.2%} to {metrics.wilson_high:.2%}\n"
        f"loss {metrics.loss:.4f}, calibration error {metrics.calibration_error:.4f}"
    )
    return table


def robustness_table(report: RobustnessReport) -> Table:
    """Return the accuracy by kind and strength of distortion, with the means as the caption."""
    from kilonet.evaluation.distortions import DISTORTIONS

    found = report.found
    table = plain_table(
        "distortion", "strength>", "network alone>", "read as a picture>", "refused>"
    )
    table.title = Text(report.title, style="bold")
    table.add_row("none", "", *_shares(found.undistorted, found.images))
    for kind in DISTORTIONS:
        name = ", ".join(filter(None, [kind.name, kind.unit]))
        for cell in found.of(kind.name):
            table.add_row(name, f"{cell.strength:g}", *_shares(cell, found.images))
            name = ""
    table.caption = Text(
        f"mean over {len(DISTORTIONS)} kinds, with the 95 % interval\n"
        f"network alone {found.alone.mean:.2%} ± {found.alone.half_width:.2%}\n"
        f"read as a picture {found.read.mean:.2%} ± {found.read.half_width:.2%}"
    )
    return table


def _shares(cell: RobustnessCell, images: int) -> list[str]:
    return [f"{count / images:.2%}" for count in (cell.alone, cell.read, cell.refused)]


def export_table(result: Export) -> Table:
    """Return the figures of an export: sizes, and how it compares with PyTorch."""
    table = plain_table("", "export>", "PyTorch>")
    table.title = Text(f"{result.model} as {result.target}", style="bold")
    for name, size in result.sizes.items():
        table.add_row(name, f"{size:,} bytes", "")
    for key, size in result.budget.items():
        table.add_row(BUDGET[key], f"{size:,} bytes", "")
    found = result.verification
    if found is not None:
        table.add_row("accuracy", f"{found.accuracy:.2%}", f"{found.pytorch_accuracy:.2%}")
        table.add_row("same label", f"{found.same_labels:,} of {found.images:,}", "")
        table.add_row("largest logit difference", f"{found.largest_logit_difference:.2g}", "")
        times = (found.milliseconds, found.pytorch_milliseconds)
        table.add_row("one picture, one core", *(f"{time:.3f} ms" for time in times))
    return table


BUDGET = {
    "weight_bytes": "flash for weights and tables",
    "arena_bytes": "RAM, static",
    "stack_bytes": "stack, about",
    "unpacked_bytes": "archive, unpacked",
}


@dataclass(frozen=True)
class ChangeLog:
    """The entries of a folder of runs, and what else there is to say about it."""

    entries: Sequence[ChangeLogEntry]
    messages: Sequence[str]

    def as_csv(self) -> str:
        """Return a line a run under a heading; what changed is one cell, its lines joined."""
        text = io.StringIO()
        names = [field.name for field in fields(ChangeLogEntry)]
        writer = csv.DictWriter(text, names, lineterminator="\n")
        writer.writeheader()
        for entry in self.entries:
            changed = "; ".join(entry.summary()[1:])
            writer.writerow({**entry.to_json(), "changed": changed})
        return text.getvalue()

    def rendered(self) -> Group:
        """Return a line of figures a run, under it its network and what changed, indented."""
        blocks: list[RenderableType] = []
        heading, *lines = _aligned([HEADINGS, *map(_figures, self.entries)])
        for line, entry in zip(lines, self.entries, strict=True):
            blocks.append(Text(line))
            blocks += [Padding(Text(text), (0, 0, 0, 4)) for text in entry.summary()]
        return Group(Text(heading, style="bold"), *blocks)


HEADINGS = ("run", "data", "params>", "epochs>", "rate, schedule", "train>", "valid.>", "test>")


def _figures(entry: ChangeLogEntry) -> tuple[str, ...]:
    of = "" if entry.finished else f" of {entry.epochs_planned}"
    return (
        entry.name,
        entry.dataset,
        f"{entry.parameters:,}" if entry.parameters is not None else "–",
        f"{entry.epochs}{of}",
        f"{entry.optimizer} {entry.learning_rate:g}, {entry.schedule}",
        *map(_percent, (entry.train_accuracy, entry.validation_accuracy, entry.test_accuracy)),
    )


def _percent(accuracy: float | None) -> str:
    return f"{accuracy:.2%}" if accuracy is not None else "–"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return ``rows`` as lines of columns; a first row's cell that ends in ">" is over figures."""
    headings = [heading.removesuffix(">") for heading in rows[0]]
    columns = list(zip(headings, *rows[1:], strict=True))
    padded = [
        [
            f"{cell:{'>' if heading.endswith('>') else '<'}{max(map(len, column))}}"
            for cell in column
        ]
        for heading, column in zip(rows[0], columns, strict=True)
    ]
    return ["  ".join(line).rstrip() for line in zip(*padded, strict=True)]


def read_change_log(folder: Path | None = None) -> ChangeLog:
    """Return the change log of the runs in ``folder`` (default: the runs directory).

    Raises:
        RunError: the folder cannot be read.
    """
    where = folder or runs_dir()
    listing = list_runs(where)
    entries, damaged = change_log(listing.runs)
    unreadable = [*listing.unreadable, *damaged]
    if not entries and not unreadable:
        return ChangeLog([], [f'There are no runs in {where}. "kilonet train" makes one.'])
    return ChangeLog(entries, [f"Left out: {message}" for message in unreadable])


def plain_table(*headings: str) -> Table:
    """Return a table without lines; a heading that ends in ">" is over figures."""
    table = Table(
        box=None, pad_edge=False, title_justify="left", caption_justify="left", caption_style="none"
    )
    for heading in headings:
        name = heading.removesuffix(">")
        table.add_column(name, justify="left" if name == heading else "right", overflow="fold")
    return table
