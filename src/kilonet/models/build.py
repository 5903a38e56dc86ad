"""From a recipe's ``[model]`` section to a network."""

from __future__ import annotations

from typing import Any

from torch import nn

from kilonet.errors import RecipeError
from kilonet.models.base import Network
from kilonet.models.conv_stack import ConvStack
from kilonet.models.custom import instantiate, load_class
from kilonet.models.measure import count_parameters
from kilonet.models.plain_valid import PlainValid
from kilonet.models.simple import SimpleMNISTNet
from kilonet.models.stacked import Stacked1x1
from kilonet.models.two_conv import TwoConv
from kilonet.recipe.families import Custom, Model
from kilonet.recipe.schema import Recipe

NETWORKS: dict[str, type[Network]] = {
    "two-conv": TwoConv,
    "conv-stack": ConvStack,
    "stacked-1x1": Stacked1x1,
    "plain-valid": PlainValid,
    "simple": SimpleMNISTNet,
}


def build(
    model: Model, input_shape: tuple[int, int, int] = (1, 28, 28), num_classes: int = 10
) -> nn.Module:
    """Return a freshly initialised network for images C×H×W and ``num_classes`` classes.

    Its weights are drawn from PyTorch's default generator: seed that first.

    Raises:
        RecipeError: a network of the user's own cannot be imported or called.
    """
    arguments: dict[str, Any] = model.model_dump(exclude={"name"})
    if isinstance(model, Custom):
        return instantiate(load_class(model.name), arguments)
    return NETWORKS[model.name](**arguments, input_shape=input_shape, num_classes=num_classes)


def check_budget(model: nn.Module, recipe: Recipe, name: str) -> int:
    """Return the network's parameter count, refusing one over the recipe's budget.

    Raises:
        RecipeError: more parameters than ``constraints.max_parameters``.
    """
    parameters = count_parameters(model)
    most = recipe.constraints.max_parameters
    if most is not None and parameters > most:
        raise RecipeError(
            f"{name}: the network has {parameters:,} parameters, "
            f"{parameters - most:,} over constraints.max_parameters = {most:,}. "
            "Make it narrower, or raise the budget (constraints.max_parameters=off removes it)."
        )
    return parameters
