"""The layer table of a recipe's network, a run's, or a class of the user's own."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from torch import nn

from kilonet.api.load import network_for
from kilonet.api.run import find_run
from kilonet.data.registry import spec
from kilonet.errors import UsageError
from kilonet.models.custom import instantiate, load_class
from kilonet.models.summary import summary_text
from kilonet.models.torchsummary import torchsummary_text
from kilonet.recipe.load import resolve
from kilonet.runs.directory import is_run

Style = Literal["kilonet", "torchsummary"]


def summary(source: str | Path, style: Style = "kilonet", model: str | None = None) -> str:
    """Return the layer table of ``source``: a recipe, a run, or ``module:Class``.

    ``style`` "torchsummary" prints it as the torchsummary package does. ``model`` is the run's own
    class where it has one.

    Raises:
        UsageError, RecipeError, RunError: there is no such thing, or it is wrong.
    """
    network, shape = _network(source, model)
    if style == "torchsummary":
        return torchsummary_text(network, shape)
    if style != "kilonet":
        raise UsageError(f'There is no style "{style}". Known: kilonet, torchsummary.')
    return summary_text(network, shape, str(source))


def _network(source: str | Path, trusted: str | None) -> tuple[nn.Module, tuple[int, int, int]]:
    if ":" in str(source):
        return instantiate(load_class(str(source)), {}), (1, 28, 28)
    if is_run(source):
        run = find_run(source).directory
        recipe = run.recipe()
        return network_for(recipe, None, run, trusted), spec(recipe.data.name).shape
    recipe = resolve(source).recipe
    return network_for(recipe, None), spec(recipe.data.name).shape
