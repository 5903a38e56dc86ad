"""``kilonet recipes``: list, show and copy the recipes that ship."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from kilonet.cli.console import output
from kilonet.recipe.catalog import copy_recipe, recipe_names

app = typer.Typer(help="The recipes that ship: list, show, copy.", invoke_without_command=True)


@app.callback()
def _default(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        ls()


@app.command()
def ls() -> None:
    """List the recipes."""
    from kilonet.recipe.load import resolve

    table = Table("recipe", "network", "epochs", "what it is", box=None, pad_edge=False)
    for name in recipe_names():
        recipe = resolve(name).recipe
        table.add_row(name, recipe.model.name, str(recipe.training.epochs), recipe.title)
    output().print(table)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A recipe's name, or a .toml file.")],
    overrides: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...")] = None,
) -> None:
    """Print a recipe with every key resolved and a sentence on each."""
    from kilonet.recipe.describe import annotated
    from kilonet.recipe.load import resolve

    typer.echo(annotated(resolve(name, overrides or []).recipe), nl=False)


@app.command()
def copy(
    name: Annotated[str, typer.Argument(help="A recipe's name.")],
    target: Annotated[Path | None, typer.Argument(help="The file to write.")] = None,
) -> None:
    """Copy a recipe to a file of your own, to change and train."""
    path = copy_recipe(name, target or Path(f"{name}.toml"))
    output().print(f"Wrote {path}. Train it: kilonet train {path}", highlight=False)
