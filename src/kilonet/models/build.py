"""Build the network of a recipe's ``[model]`` section, and check its parameter budget."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

from kilonet.errors import RecipeError
from kilonet.models.base import Network
from kilonet.models.conv_stack import ConvStack
from kilonet.models.custom import instantiate, load_class
from kilonet.models.fixed import PlainValid, SimpleMNISTNet, Stacked1x1, TwoConv
from kilonet.models.measure import count_parameters
from kilonet.recipe.families import CustomConfig, Model
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
    """Return a newly initialised network for images C×H×W and ``num_classes`` classes.

    PyTorch's default generator initialises the weights: seed it first.

    Raises:
        RecipeError: the images are too small, the network does not fit into memory, or it is a
            network of the user's own that cannot be imported, called, or applied to such images.
    """
    arguments: dict[str, Any] = model.model_dump(exclude={"name"})
    if isinstance(model, CustomConfig):
        network = instantiate(load_class(model.name), arguments)
        _check_output(network, model.name, input_shape, num_classes)
        return network
    try:
        return NETWORKS[model.name](**arguments, input_shape=input_shape, num_classes=num_classes)
    except (RuntimeError, MemoryError, OverflowError, TypeError) as error:
        given = ", ".join(f"{key} = {value!r}" for key, value in arguments.items())
        raise RecipeError(
            f"[model] {model.name} with {given} cannot be built: {_first_line(error)}. "
            "Choose smaller values for these keys."
        ) from error


def _check_output(
    network: nn.Module, name: str, input_shape: tuple[int, int, int], num_classes: int
) -> None:
    """Check the output shape of a copy of ``network`` for a blank image."""
    shape = "×".join(map(str, input_shape))
    try:
        trial = copy.deepcopy(network).eval()
        with torch.no_grad():
            output = trial(torch.zeros(1, *input_shape))
    except Exception as error:  # any error: this is the user's code
        raise RecipeError(
            f"{name} fails on an image of {shape}: {type(error).__name__}: {_first_line(error)}. "
            "Its forward() gets a float32 batch N×C×H×W."
        ) from error
    result = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
    if result != (1, num_classes):
        raise RecipeError(
            f"{name} returned {result} for one image of {shape}; expected logits of shape "
            f"(1, {num_classes}), one for each class. Change its last layer or its forward()."
        )


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [""])[0].rstrip(".: ")


def check_budget(model: nn.Module, recipe: Recipe, name: str) -> int:
    """Return the network's parameter count if it is within the recipe's budget.

    Raises:
        RecipeError: more parameters than ``constraints.max_parameters``.
    """
    parameters = count_parameters(model)
    budget = recipe.constraints.max_parameters
    if budget is not None and parameters > budget:
        raise RecipeError(
            f"{name}: the network has {parameters:,} parameters, "
            f"{parameters - budget:,} over constraints.max_parameters = {budget:,}. "
            "Make it narrower, or raise the budget (constraints.max_parameters=off removes it)."
        )
    return parameters
