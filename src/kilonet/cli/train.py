"""``kilonet train``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kilonet.cli.console import output
from kilonet.cli.options import DataDir, OwnModel
from kilonet.errors import KilonetError, UsageError
from kilonet.extras import require
from kilonet.recipe.catalog import DEFAULT_RECIPE


def train(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RECIPE|FILE.toml] [KEY=VALUE]...",
            help=f"What to train (default: {DEFAULT_RECIPE}) and keys to change, such as "
            "optimizer.lr=0.05; KEY=off unsets an optional key.",
            show_default=False,
        ),
    ] = None,
    data_dir: DataDir = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="The run's directory.")
    ] = None,
    resume: Annotated[
        str | None, typer.Option("--resume", metavar="RUN", help="Go on with an interrupted run.")
    ] = None,
    model: OwnModel = None,
) -> int:
    """Train a recipe; writes a run's directory with weights, plots and a report."""
    recipe, overrides = _split(words or [], resume)
    require("train")
    from kilonet.api import train as api
    from kilonet.api.show import print_outcome

    console = output()
    try:
        if resume is not None:
            run = api.resume(resume, data_dir=data_dir, console=console, model=model)
        else:
            run = api.train(
                recipe, overrides=overrides, data_dir=data_dir, out=out, console=console
            )
    except KeyboardInterrupt:
        raise KilonetError(
            "Stopped. Whole epochs are kept; go on with: kilonet train --resume RUN, "
            'where "kilonet runs" lists the runs.'
        ) from None
    print_outcome(run, console)
    return 0


def _split(words: list[str], resume: str | None) -> tuple[str, list[str]]:
    """Tell the recipe from the overrides: the recipe is the one word without an equals sign."""
    recipes = [word for word in words if "=" not in word]
    overrides = [word for word in words if "=" in word]
    if resume is not None and words:
        raise UsageError(
            f'--resume goes on with a run as it is; "{words[0]}" would change it. Leave it out.'
        )
    if len(recipes) > 1:
        raise UsageError(
            f'One recipe at a time: got "{recipes[0]}" and "{recipes[1]}". '
            "Keys are changed as KEY=VALUE, without spaces."
        )
    return (recipes[0] if recipes else DEFAULT_RECIPE), overrides
