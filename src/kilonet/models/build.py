"""Build the network of a recipe's ``[model]`` section, and check its parameter budget."""

from __future__ import annotations

import copy
import inspect
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from kilonet.errors import RecipeError
from kilonet.models.base import Network
from kilonet.models.conv_stack import ConvStack
from kilonet.models.custom import class_name, instantiate, load_class
from kilonet.models.fixed import PlainValid, SimpleMNISTNet, Stacked1x1, TwoConv
from kilonet.models.measure import count_parameters
from kilonet.recipe.families import CustomConfig, Model
from kilonet.recipe.schema import Recipe

MAX_PARAMETERS = 50_000_000  # of a network that is built
NETWORKS: dict[str, type[Network]] = {
    "two-conv": TwoConv,
    "conv-stack": ConvStack,
    "stacked-1x1": Stacked1x1,
    "plain-valid": PlainValid,
    "simple": SimpleMNISTNet,
}


def build(
    model: Model,
    input_shape: tuple[int, int, int] = (1, 28, 28),
    num_classes: int = 10,
    folder: Path | None = None,
) -> nn.Module:
    """Return a newly initialised network for images C×H×W and ``num_classes`` classes.

    PyTorch's default generator initialises the weights: seed it first. ``folder`` has the code of
    the user's own class (default: the current directory).
    """
    arguments: dict[str, Any] = model.model_dump(exclude={"name"})
    if isinstance(model, CustomConfig):
        own = instantiate(load_class(model.name, folder), arguments)
        check_output(own, model.name, input_shape, num_classes)
        return own
    sizes: dict[str, Any] = {"input_shape": input_shape, "num_classes": num_classes}
    try:
        with torch.device("meta"):  # needs no memory, and draws no random numbers
            parameters = count_parameters(NETWORKS[model.name](**arguments, **sizes))
        if parameters > MAX_PARAMETERS:
            raise MemoryError(f"it has {parameters:,} parameters, more than {MAX_PARAMETERS:,}")
        network = NETWORKS[model.name](**arguments, **sizes)
    except (RuntimeError, MemoryError, OverflowError, TypeError) as error:
        given = ", ".join(f"{key} = {value!r}" for key, value in arguments.items())
        raise RecipeError(
            f"[model] {model.name} with {given} cannot be built: {_first_line(error)}. "
            "Choose smaller values for these keys."
        ) from error
    network.section = model
    return network


def section_of(
    network: nn.Module, input_shape: tuple[int, int, int], num_classes: int
) -> tuple[Model, bool]:
    """Return the ``[model]`` section that describes ``network``, an object of the user's.

    The second value says whether the section builds such a network. Of a class of the user's own,
    the constructor's arguments are found where the object has attributes of the same names.
    """
    section = getattr(network, "section", None)
    if section is None:
        parameters = inspect.signature(type(network)).parameters
        given = {name: getattr(network, name, None) for name in parameters}
        plain = {key: value for key, value in given.items() if isinstance(value, str | int | float)}
        section = CustomConfig.model_validate({**plain, "name": class_name(type(network))})
        arguments = {key: value for key, value in plain.items() if key != "name"}
        build_again = partial(instantiate, type(network), arguments)
    else:
        build_again = partial(build, section, input_shape, num_classes)
    with suppress(RecipeError), torch.random.fork_rng(devices=[]):
        if structure_of(build_again()) == structure_of(network):
            return section, True
    return CustomConfig(name=class_name(type(network))), False


def structure_of(network: nn.Module) -> str:
    """Return the modules of ``network`` and the shapes of its tensors as text."""
    shapes = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    return f"{network!r} {shapes}"


def check_output(
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
    """Return the network's parameter count if it is within the recipe's budget."""
    parameters = count_parameters(model)
    budget = recipe.constraints.max_parameters
    if budget is not None and parameters > budget:
        raise RecipeError(
            f"{name}: the network has {parameters:,} parameters, "
            f"{parameters - budget:,} over constraints.max_parameters = {budget:,}. "
            "Make it narrower, or raise the budget (constraints.max_parameters=off removes it)."
        )
    return parameters
