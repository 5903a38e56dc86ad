"""``kilonet recipes``: list, show and copy the recipes that ship."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kilonet.cli.console import say, show
from kilonet.recipe.catalog import copy_recipe

app = typer.Typer(help="The recipes that ship: list, show, copy.", invoke_without_command=True)


@app.callback()
def _default(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        ls()


@app.command()
def ls() -> None:
    """List the recipes."""
    from kilonet.workflows.show import recipes_table

    show(recipes_table())


@app.command("show")
def show_recipe(
    name: Annotated[
        str,
        typer.Argument(metavar="RECIPE|FILE.toml", help="A shipped recipe or a file of your own."),
    ],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE...", help="Keys to change.")
    ] = None,
) -> None:
    """Print a recipe with every key resolved and a sentence on each."""
    from kilonet.recipe.describe import annotated
    from kilonet.recipe.load import resolve

    typer.echo(annotated(resolve(name, overrides or []).recipe), nl=False)


@app.command()
def copy(
    name: Annotated[str, typer.Argument(metavar="RECIPE", help="A shipped recipe.")],
    target: Annotated[
        Path | None,
        typer.Argument(metavar="FILE.toml", help="The file to write (default: RECIPE.toml)."),
    ] = None,
) -> None:
    """Copy a recipe to a file of your own, to change and train."""
    path = copy_recipe(name, target or Path(f"{name}.toml"))
    say(f"Wrote {path}. Train it: kilonet train {path}")
