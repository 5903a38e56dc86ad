"""``kilonet data``: list, fetch and show the data sets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kilonet.cli import console
from kilonet.cli.options import DataDir
from kilonet.errors import UsageError
from kilonet.extras import require

app = typer.Typer(help="The data sets: list, fetch, show.", invoke_without_command=True)


@app.callback()
def _default(context: typer.Context, data_dir: DataDir = None) -> None:
    if context.invoked_subcommand is None:
        ls(data_dir)
    elif data_dir is not None:
        command = f"kilonet data {context.invoked_subcommand}"
        raise UsageError(f"Put --data-dir after the command: {command} --data-dir {data_dir}")


@app.command()
def ls(data_dir: DataDir = None) -> None:
    """List the data sets and where each was found."""
    from kilonet.api.show import datasets_table

    console.show(datasets_table(data_dir))


@app.command()
def fetch(
    names: Annotated[
        list[str], typer.Argument(metavar="NAME...", help="Data sets, as the list names them.")
    ],
    data_dir: DataDir = None,
) -> None:
    """Download data sets into the cache, unless they are at hand, and verify them."""
    require("train")
    from kilonet.api.data import fetch as fetched

    for name in names:
        dataset = fetched(name, data_dir)
        console.say(f"{dataset.title}: verified, in {dataset.source}")


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A data set.")],
    recipe: Annotated[
        str | None,
        typer.Option(
            "--recipe", metavar="RECIPE", help="Add rows with this recipe's augmentation."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE.png", help="The picture (default: NAME.png)."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Which images are drawn.")] = 0,
    data_dir: DataDir = None,
) -> None:
    """Write a picture of a labelled sample batch, with a recipe's augmentation if wanted."""
    require("train")
    from kilonet.api.data import show_sample

    target = out or Path(f"{name}.png")
    path = show_sample(name, target, recipe=recipe, seed=seed, data_dir=data_dir)
    console.say(f"Wrote {path}")
