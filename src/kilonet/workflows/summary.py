"""The layer table of a recipe's network, a run's, or a class of the user's own."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from torch import nn

from kilonet.data.folder import dataset_spec
from kilonet.errors import UsageError, nearest
from kilonet.models.custom import instantiate, load_class
from kilonet.models.summary import summary_text, torchsummary_text
from kilonet.recipe.catalog import SUFFIX, recipe_names
from kilonet.recipe.load import resolve
from kilonet.runs.find import is_run
from kilonet.workflows.load import data_info, network_for, network_of
from kilonet.workflows.run import Run, find_run, list_runs

Style = Literal["kilonet", "torchsummary"]
IMAGE = (1, 28, 28)


def summary(source: str | Path | Run, style: Style = "kilonet", *, model: str | None = None) -> str:
    """Return the layer table of ``source``: a recipe, a run, or ``module:Class``.

    ``style`` "torchsummary" prints it as the torchsummary package does. ``model`` is the run's own
    class where it has one.

    Raises:
        UsageError, RecipeError, RunError: there is no such thing, or it is wrong.
    """
    if style not in ("kilonet", "torchsummary"):
        raise UsageError(f'There is no style "{style}". Known: kilonet, torchsummary.')
    network, shape, title = _network(source, model)
    if style == "torchsummary":
        return torchsummary_text(network, shape)
    return summary_text(network, shape, title)


def _network(
    source: str | Path | Run, trusted: str | None
) -> tuple[nn.Module, tuple[int, int, int], str]:
    if isinstance(source, Run) or is_run(source):
        run = find_run(source)
        recipe = run.recipe
        return network_of(run.directory, recipe, trusted), data_info(run).shape, run.name
    if trusted is not None:
        raise UsageError(f"--model names the class of a run; {source} is none. Leave it out.")
    if ":" in str(source):
        return instantiate(load_class(str(source)), {}), IMAGE, str(source)
    recipe = resolve(_known(str(source))).recipe
    return network_for(recipe), dataset_spec(recipe.data).shape, str(source)


def _known(source: str) -> str:
    """Return ``source`` if it can be a recipe; else say that it is no run either."""
    recipes = recipe_names()
    if source in recipes or source.endswith(SUFFIX):
        return source
    names = [*recipes, *(run.name for run in list_runs())]
    raise UsageError(
        f'There is no recipe and no run "{source}".{nearest(source, names)} "kilonet recipes" and '
        '"kilonet runs" list them; a class of your own is written module:Class.'
    )
