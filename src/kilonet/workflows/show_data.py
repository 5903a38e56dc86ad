"""What the commands print of a folder of pictures and of an audit, as Rich tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.table import Table
from rich.text import Text

from kilonet.data.inspect_folder import IMBALANCED, FolderReport
from kilonet.workflows.show import plain_table

MOST_NAMES = 10
"""Of what is wrong, so many are printed; --json has all."""


def folder_table(report: FolderReport) -> Table:
    """Return how many pictures each class has."""
    table = plain_table("class", "training>", "test>")
    table.title = Text(str(report.path), style="bold")
    for entry in report.classes:
        table.add_row(Text(entry.name), f"{entry.train:,}", f"{entry.test:,}")
    sums = (sum(entry.train for entry in report.classes), sum(e.test for e in report.classes))
    table.add_row(Text("all", style="bold"), *(f"{total:,}" for total in sums))
    return table


def folder_findings(report: FolderReport) -> Iterator[str]:
    """Yield a line on each thing to know of the folder, and on nothing where all is well."""
    if report.split_off:
        yield "There is no test folder: a stratified fifth of each class is the test part."
    if report.imbalance >= IMBALANCED:
        yield f"Imbalance: the largest class has {report.imbalance:.1f} times the smallest."
    yield from _listed("unreadable", [f"{name}: {why}" for name, why in report.unreadable])
    yield from _listed("no picture by its name", report.others)
    yield from _listed("the same file in several classes", map(" = ".join, report.contradictions))
    yield from _listed("the same file in training and test", map(" = ".join, report.copies))
    yield from _listed("looks the same in training and test", map(" ≈ ".join, report.near_copies))


def _listed(what: str, found: Iterator[str] | map[str] | Sequence[str]) -> Iterator[str]:
    lines = list(found)
    if lines:
        yield f"{len(lines):,} × {what}:"
        yield from (f"    {line}" for line in lines[:MOST_NAMES])
        if len(lines) > MOST_NAMES:
            yield f"    and {len(lines) - MOST_NAMES:,} more (--json names all)"
