"""``kilonet recipes``, ``kilonet models`` and ``kilonet summary``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kilonet.cli.common import AsJson, OwnModel, print_json, print_line, print_table
from kilonet.extras import require
from kilonet.text import printable

recipes_app = typer.Typer(
    help="The recipes that ship: list, show, copy.", invoke_without_command=True
)


def models(as_json: AsJson = False) -> None:
    """List the trained models that ship: sizes, and test accuracy over the seeds."""
    from kilonet.cli.tables import models_table
    from kilonet.workflows.inspect import list_models

    shipped = list_models()
    if as_json:
        print_json([model.to_json() for model in shipped])
    elif shipped:
        print_table(models_table(shipped))
    else:
        print_line("No trained models ship with this version. Train one: kilonet train")


@recipes_app.callback()
def _default(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        ls()


@recipes_app.command()
def ls() -> None:
    """List the recipes."""
    from kilonet.cli.tables import recipes_table

    print_table(recipes_table())


@recipes_app.command("show")
def show_recipe(
    name: Annotated[
        str,
        typer.Argument(metavar="RECIPE|FILE.toml", help="A shipped recipe or a file of your own."),
    ],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE...", help="Keys to change.")
    ] = None,
) -> None:
    """Print a recipe with every key and a description of each."""
    from kilonet.recipe.fingerprint import to_annotated_toml
    from kilonet.recipe.load import resolve

    recipe = resolve(name, overrides or [], imports=False).recipe
    typer.echo(printable(to_annotated_toml(recipe)), nl=False)


@recipes_app.command()
def copy(
    name: Annotated[str, typer.Argument(metavar="RECIPE", help="A shipped recipe.")],
    target: Annotated[
        Path | None,
        typer.Argument(metavar="FILE.toml", help="The file to write (default: RECIPE.toml)."),
    ] = None,
) -> None:
    """Copy a recipe to a file of your own, to change and train."""
    from kilonet.recipe.catalog import copy_recipe

    path = copy_recipe(name, target or Path(f"{name}.toml"))
    print_line(f"Wrote {path}. Train it: kilonet train {path}")


def summary(
    source: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="A recipe, a run, or a class of your own as module:Class."
        ),
    ],
    model: OwnModel = None,
) -> None:
    """Print a network's layers: shapes, kernels, parameters, MACs; totals and memory."""
    require("train")
    from kilonet.workflows.inspect import summary as summarise

    typer.echo(printable(summarise(source, model=model)))
