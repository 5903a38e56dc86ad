"""``kilonet runs``: the change log of your own runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from kilonet.cli.console import say, show
from kilonet.cli.options import AsJson, Flag
from kilonet.errors import UsageError


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
    """List your runs as a change log: what each reached, and what changed since the one before."""
    from kilonet.workflows.show import read_change_log

    if as_json and as_csv:
        raise UsageError("--json and --csv are two ways to print the same. Leave one out.")
    log = read_change_log(folder)
    if as_csv:
        typer.echo(log.as_csv(), nl=False)
        return
    if as_json:
        entries = [entry.to_json() for entry in log.entries]
        typer.echo(json.dumps(entries, indent=1, ensure_ascii=False))
        return
    if log.entries:
        show(log.rendered())
    for message in log.messages:
        say(message)
