"""Options that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        metavar="DIR",
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
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
