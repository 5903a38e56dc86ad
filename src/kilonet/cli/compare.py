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
    """Say which of two runs reads more of the same test images, and how surely."""
    require("train")
    from kilonet.workflows.compare import compare as compared
    from kilonet.workflows.study_show import comparison_table

    found = compared(first, second, data_dir=data_dir)
    if as_json:
        typer.echo(json.dumps(found.to_json(), indent=1, ensure_ascii=False))
        return
    show(comparison_table(found))
    say(found.answer)
