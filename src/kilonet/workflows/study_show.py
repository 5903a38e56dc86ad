"""What the commands print of a study."""

from __future__ import annotations

import json

from rich.table import Table
from rich.text import Text

from kilonet.report.formatting import Table as Rows
from kilonet.studies.plain import to_json
from kilonet.studies.tables import cells_table, comparisons_table
from kilonet.workflows.compare import RunComparison
from kilonet.workflows.show import plain_table
from kilonet.workflows.study import Study


def study_tables(study: Study) -> list[Table]:
    """Return the table of the cells, the baseline in bold, and that of the comparisons."""
    tables = [rich_table(cells_table(study.analysis))]
    if study.analysis.comparisons:
        tables.append(rich_table(comparisons_table(study.analysis)))
    return tables


def as_text(study: Study) -> str:
    """Return everything that was found as JSON."""
    return json.dumps(to_json(study.analysis), indent=1, ensure_ascii=False)


def rich_table(content: Rows) -> Table:
    """Return rows of text as a table for the terminal."""
    table = plain_table(*(f"{c.heading}>" if c.figures else c.heading for c in content.columns))
    for place, row in enumerate(content.rows):
        table.add_row(*map(Text, row), style="bold" if place == content.marked else None)
    return table


def comparison_table(found: RunComparison) -> Table:
    """Return what each of two runs reads."""
    table = plain_table("run", "accuracy>", "only it reads>")
    for name, accuracy, only in zip(
        (found.first, found.second),
        found.accuracies,
        (found.test.only_a, found.test.only_b),
        strict=True,
    ):
        table.add_row(name, f"{accuracy:.2%}", f"{only:,}")
    return table
