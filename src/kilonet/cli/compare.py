"""``kilonet compare``."""

from __future__ import annotations

import json

import typer

from kilonet.cli.console import say, show
from kilonet.cli.options import AsJson, DataDir, FinishedRun
from kilonet.extras import require


def compare(
    first: FinishedRun, second: FinishedRun, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """Compare two runs on the same test images, with a significance test."""
    require("train")
    from kilonet import compare as compare_runs
    from kilonet.cli.tables import comparison_table

    comparison = compare_runs(first, second, data_dir=data_dir)
    if as_json:
        typer.echo(json.dumps(comparison.to_json(), indent=1, ensure_ascii=False))
        return
    show(comparison_table(comparison))
    say(comparison.answer)
