"""``kilonet data``: list, fetch and show the data sets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from kilonet.cli.console import output
from kilonet.cli.options import DataDir
from kilonet.extras import require

app = typer.Typer(help="The data sets: list, fetch, show.", invoke_without_command=True)


@app.callback()
def _default(context: typer.Context, data_dir: DataDir = None) -> None:
    if context.invoked_subcommand is None:
        ls(data_dir)


@app.command()
def ls(data_dir: DataDir = None) -> None:
    """List the data sets and where each was found."""
    from kilonet.data.catalogue import catalogue

    table = Table("name", "what", "images", "found in", "licence", box=None, pad_edge=False)
    for entry in catalogue(data_dir):
        images = f"{entry.train_count:,} + {entry.test_count:,}"
        table.add_row(entry.name, entry.title, images, entry.source or "–", entry.licence)
    output().print(table)


@app.command()
def fetch(
    names: Annotated[list[str], typer.Argument(metavar="NAME...")], data_dir: DataDir = None
) -> None:
    """Download data sets into the cache, unless they are at hand, and verify them."""
    require("train")
    from kilonet.data.dataset import load_dataset

    for name in names:
        dataset = load_dataset(name, data_dir, progress=True)
        output().print(f"{dataset.title}: verified, in {dataset.source}", highlight=False)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A data set.")],
    recipe: Annotated[
        str | None, typer.Option("--recipe", help="Add rows with this recipe's augmentation.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE.png")] = None,
    seed: Annotated[int, typer.Option(help="Which images are drawn.")] = 0,
    data_dir: DataDir = None,
) -> None:
    """Write a picture of a labelled sample batch, with a recipe's augmentation if wanted."""
    require("train")
    from kilonet.api.data import show_sample

    path = show_sample(
        name, out or Path(f"{name}.png"), recipe=recipe, seed=seed, data_dir=data_dir
    )
    output().print(f"Wrote {path}", highlight=False)
