"""``kilonet summary``."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from kilonet.cli.options import OwnModel
from kilonet.extras import require


def summary(
    source: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="A recipe, a run, or a class of your own as module:Class.",
        ),
    ],
    style: Annotated[
        Literal["kilonet", "torchsummary"], typer.Option("--style", help="The layout.")
    ] = "kilonet",
    model: OwnModel = None,
) -> None:
    """Print a network's layers: shapes, kernels, parameters, MACs; totals and memory."""
    require("train")
    from kilonet.workflows.summary import summary as summarise

    typer.echo(summarise(source, style, model=model))
