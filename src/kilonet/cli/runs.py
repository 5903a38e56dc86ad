"""``kilonet runs``: the change log of your own runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kilonet.cli.console import output

app = typer.Typer(help="Your runs, as a change log.", invoke_without_command=True)


@app.callback()
def runs(
    folder: Annotated[
        Path | None,
        typer.Option("--in", metavar="DIR", help="The folder of runs (default: ./runs)."),
    ] = None,
) -> None:
    """List your runs: parameters, network, epochs, rate, accuracies, and what changed."""
    from kilonet.api.show import change_log

    output().print(change_log(folder))
