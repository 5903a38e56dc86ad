"""``kilonet models``: the trained models that come with the package."""

from __future__ import annotations

import json

import typer

from kilonet.cli.console import say, show
from kilonet.cli.options import AsJson


def models(as_json: AsJson = False) -> None:
    """List the trained models that ship: sizes, and test accuracy over the seeds."""
    from kilonet.workflows.models import list_models, models_table

    found = list_models()
    if as_json:
        typer.echo(json.dumps([model.to_json() for model in found], indent=1))
    elif found:
        show(models_table(found))
    else:
        say("No trained models ship with this version. Train one: kilonet train")
