"""``kilonet data``: list, download, show and check the data sets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kilonet.cli.common import AsJson, DataDir, print_json, print_line, print_table
from kilonet.errors import UsageError
from kilonet.extras import require

app = typer.Typer(help="The data sets: list, fetch, show, report.", invoke_without_command=True)


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
    from kilonet.cli.tables import datasets_table

    print_table(datasets_table(data_dir))


@app.command()
def fetch(
    names: Annotated[
        list[str],
        typer.Argument(metavar="NAME...", help='Names of data sets; "kilonet data" lists them.'),
    ],
    data_dir: DataDir = None,
) -> None:
    """Download data sets into the cache, unless they are there already, and verify them."""
    require("train")
    from kilonet.cli.reporter import progress
    from kilonet.workflows.data import fetch as fetch_dataset

    for name in names:
        with progress() as reporter:
            dataset = fetch_dataset(name, data_dir, reporter)
        print_line(f"{dataset.title}: verified, in {dataset.source}")


@app.command("show")
def show_samples(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Name of a data set, or folder:PATH.")
    ],
    recipe: Annotated[
        str | None,
        typer.Option("--recipe", metavar="RECIPE", help="Also show this recipe's augmentation."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE.png", help="The file to write (default: NAME.png)."),
    ] = None,
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", help="Seed that selects the images.")
    ] = 0,
    data_dir: DataDir = None,
) -> None:
    """Write a picture of labelled sample images, optionally with a recipe's augmentation."""
    require("train")
    from kilonet.workflows.data import show_sample

    target = out or Path(f"{Path(name).name.removeprefix('folder:')}.png")
    path = show_sample(name, target, recipe=recipe, seed=seed, data_dir=data_dir)
    print_line(f"Wrote {path}")


@app.command()
def report(
    folder: Annotated[
        str, typer.Argument(metavar="folder:PATH", help="A folder of pictures of your own.")
    ],
    as_json: AsJson = False,
) -> None:
    """Report on a folder of pictures: classes, unreadable files, duplicates across the splits."""
    require("train")
    from kilonet.cli.reporter import progress
    from kilonet.cli.tables import folder_findings, folder_table
    from kilonet.workflows.data import report as inspect_folder

    with progress() as reporter:
        result = inspect_folder(folder, reporter)
    if as_json:
        print_json(result.to_json())
        return
    print_table(folder_table(result))
    for line in folder_findings(result):
        print_line(line)
