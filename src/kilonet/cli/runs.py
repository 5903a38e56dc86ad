"""``kilonet runs``: the change log of your own runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from kilonet.cli.common import AsJson, Flag, print_json, print_line, print_table
from kilonet.errors import UsageError
from kilonet.files import csv_text, runs_dir

if TYPE_CHECKING:
    from kilonet.runs.changelog import ChangeLogEntry

HEADINGS = ("run", "data", "params>", "epochs>", "rate, schedule", "train>", "valid.>", "test>")


def runs(
    folder: Annotated[
        Path | None,
        typer.Option(
            "--in",
            metavar="DIR",
            exists=True,
            file_okay=False,
            help="The folder of runs (default: KILONET_RUNS, then ./runs).",
        ),
    ] = None,
    as_json: AsJson = False,
    as_csv: Annotated[bool, Flag("--csv", help="Print CSV.")] = False,
) -> None:
    """List your runs: the result of each, and what changed since the run before."""
    if as_json and as_csv:
        raise UsageError("--json and --csv are two ways to print the same. Leave one out.")
    log = read_change_log(folder)
    if as_csv:
        typer.echo(log.as_csv(), nl=False)
        return
    if as_json:
        print_json([entry.to_json() for entry in log.entries])
        return
    if log.entries:
        print_table(log.rendered())
    for message in log.messages:
        print_line(message)


@dataclass(frozen=True)
class ChangeLog:
    """The entries of a folder of runs, and messages about it."""

    entries: Sequence[ChangeLogEntry]
    messages: Sequence[str]

    def as_csv(self) -> str:
        """Return one line for each run under a header; the changes are one cell, joined."""
        from kilonet.runs.changelog import ChangeLogEntry

        names = [field.name for field in fields(ChangeLogEntry)]
        rows = [
            {**entry.to_json(), "changed": "; ".join(entry.summary()[1:])} for entry in self.entries
        ]
        return csv_text(names, rows)

    def rendered(self) -> Group:
        """Return a line of figures for each run; below it, indented, its network and changes."""
        blocks: list[RenderableType] = []
        heading, *lines = _align([HEADINGS, *map(_figures, self.entries)])
        for line, entry in zip(lines, self.entries, strict=True):
            blocks.append(Text(line))
            blocks += [Padding(Text(text), (0, 0, 0, 4)) for text in entry.summary()]
        return Group(Text(heading, style="bold"), *blocks)


def read_change_log(folder: Path | None = None) -> ChangeLog:
    """Return the change log of the runs in ``folder`` (default: the runs directory).

    Raises:
        RunError: the folder cannot be read.
    """
    from kilonet.runs.changelog import change_log
    from kilonet.runs.find import list_runs

    folder = folder or runs_dir()
    listing = list_runs(folder)
    entries, damaged = change_log(listing.runs)
    unreadable = [*listing.unreadable, *damaged]
    if not entries and not unreadable:
        return ChangeLog([], [f'There are no runs in {folder}. "kilonet train" makes one.'])
    return ChangeLog(entries, [f"Left out: {message}" for message in unreadable])


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


def _align(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return ``rows`` as lines of columns; a heading that ends in ">" is right-aligned."""
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
