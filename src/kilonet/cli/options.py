"""Options that several commands share."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

# A switch has no value; the empty metavar keeps the help from showing a type.
Flag = partial(typer.Option, metavar="")

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        metavar="DIR",
        exists=True,
        file_okay=False,
        help="Folder with the data sets (default: KILONET_DATA, then the cache).",
    ),
]
OwnModel = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="MODULE:CLASS",
        help="Your own network class, if the run uses one: the code to import.",
    ),
]
FinishedRun = Annotated[
    str,
    typer.Argument(
        metavar="RUN", help="A finished run (its name or directory) or a shipped model."
    ),
]
AsJson = Annotated[bool, Flag("--json", help="Print JSON.")]
