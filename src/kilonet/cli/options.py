"""Options that several commands take."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

# A switch takes no value; the empty metavar keeps the help from naming a type.
Flag = partial(typer.Option, metavar="")

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        metavar="DIR",
        exists=True,
        file_okay=False,
        help="Folder that holds the data sets (default: KILONET_DATA, then the cache).",
    ),
]
OwnModel = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="MODULE:CLASS",
        help="The run's network, where it is a class of your own: names the code to import.",
    ),
]
FinishedRun = Annotated[
    str,
    typer.Argument(
        metavar="RUN", help="A finished run (its name or directory) or a shipped model."
    ),
]
AsJson = Annotated[bool, Flag("--json", help="Print JSON.")]
