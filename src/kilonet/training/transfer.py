"""Fine-tuning: start from the weights of another network, freeze layers, train old ones slowly.

The head is the last layer, which gives the logits. It stays new if the classes differ. Everything
before it are the features.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import accumulate

from torch import nn
from torch.optim import Optimizer

from kilonet.data.specs import DataInfo, DatasetSpec
from kilonet.errors import RecipeError, UsageError, nearest
from kilonet.training.checkpoints import Weights, put_weights, weights_of

FEATURES = "features"


@dataclass(frozen=True, eq=False)
class StartingWeights:
    """The weights of a trained network, and what it knows about its images."""

    name: str
    weights: Weights
    info: DataInfo


def load_matching(
    network: nn.Module, start: StartingWeights, info: DataInfo | DatasetSpec
) -> frozenset[str]:
    """Load the weights of ``start`` into ``network``; return the names of the loaded tensors.

    ``info`` describes the images to train on. The head keeps its new weights if the names of the
    classes differ.

    Raises:
        UsageError: the images have another shape.
        RecipeError: the features of the two networks differ.
    """
    if info.shape != start.info.shape:
        sizes = ["×".join(map(str, shape)) for shape in (start.info.shape, info.shape)]
        raise UsageError(
            f"training.weights: {start.name} takes images of {sizes[0]}; those of {info.title} are "
            f"{sizes[1]}. Use images of the same shape (for a folder: data.side and data.colour)."
        )
    new = frozenset() if info.classes == start.info.classes else head_of(network)
    own = weights_of(network)
    for name in [*own, *(set(start.weights) - set(own))]:
        there, here = (
            tuple(each[name].shape) if name in each else "absent" for each in (start.weights, own)
        )
        if name not in new and there != here:
            raise RecipeError(
                f"training.weights: {start.name} has another network than this recipe: {name} is "
                f"{there} there and {here} here. Leave the recipe out to train the "
                f"network of the weights: kilonet train --from {start.name}"
            )
    loaded = frozenset(own) - new
    put_weights(network, {**own, **{name: start.weights[name] for name in loaded}})
    return loaded


def head_of(network: nn.Module) -> frozenset[str]:
    """Return the names of the tensors of the last layer, and of what scales its outputs.

    The last layer is the last one with a matrix of weights. What scales its outputs is a
    normalisation or a factor with one number for each output, or one for all.
    """
    modules = [(name, _own_tensors(module)) for name, module in network.named_modules()]
    layers = [
        index for index, (_, own) in enumerate(modules) if any(v.dim() >= 2 for v in own.values())
    ]
    if not layers:
        return frozenset()
    (_, last), *after = modules[layers[-1] :]
    outputs = next(len(value) for value in last.values() if value.dim() >= 2)
    scaling = [
        (name, own)
        for name, own in after
        if all(value.numel() == 1 or value.shape == (outputs,) for value in own.values())
    ]
    chosen = [modules[layers[-1]], *scaling]
    stored = weights_of(network)
    names = {f"{name}.{key}".lstrip(".") for name, own in chosen for key in own}
    return frozenset(names & set(stored))


def _own_tensors(module: nn.Module) -> Weights:
    """Return the parameters and buffers of ``module`` itself, by name."""
    return {
        **dict(module.named_parameters(recurse=False)),
        **dict(module.named_buffers(recurse=False)),
    }


def freeze(network: nn.Module, patterns: str) -> None:
    """Freeze the layers that ``patterns`` name: their weights and statistics do not change.

    A pattern is "features", or the name of a layer or parameter with the wildcards * and ?;
    several are separated by spaces.

    Raises:
        RecipeError: a pattern matches no parameter.
    """
    head = head_of(network)
    for pattern in patterns.split():
        chosen = [
            parameter
            for name, parameter in network.named_parameters()
            if (name not in head if pattern == FEATURES else _matches(name, pattern))
        ]
        if not chosen:
            layers = [name for name, _ in network.named_children()]
            raise RecipeError(
                f'[training] freeze: no layer is called "{pattern}".{nearest(pattern, layers)} '
                f'Layers: {", ".join(layers)}; "{FEATURES}" are all but the last layer.'
            )
        for parameter in chosen:
            parameter.requires_grad_(False)


def _matches(name: str, pattern: str) -> bool:
    """Return whether ``pattern`` matches a parameter, or one of the modules that contain it."""
    return any(
        fnmatchcase(prefix, pattern) for prefix in accumulate(name.split("."), "{}.{}".format)
    )


def is_frozen(network: nn.Module) -> bool:
    """Return whether a parameter of ``network`` does not change in training."""
    return not all(parameter.requires_grad for parameter in network.parameters())


def train_mode(network: nn.Module) -> None:
    """Put ``network`` into training mode, except layers and blocks that are frozen as a whole.

    These keep their statistics too, and have no dropout.
    """
    network.train()
    for module in network.modules():
        own = list(module.parameters())
        if own and not any(parameter.requires_grad for parameter in own):
            module.eval()


def lower_rates(
    optimizer: Optimizer, network: nn.Module, loaded: Iterable[str], factor: float
) -> None:
    """Multiply the learning rate of the parameters called ``loaded`` by ``factor``."""
    names = set(loaded)
    old = {id(value) for name, value in network.named_parameters() if name in names}
    for group in list(optimizer.param_groups):
        slow = [parameter for parameter in group["params"] if id(parameter) in old]
        rest = [parameter for parameter in group["params"] if id(parameter) not in old]
        if slow and rest:
            group["params"] = rest
            optimizer.add_param_group({**group, "params": slow, "lr": group["lr"] * factor})
        elif slow:
            group["lr"] *= factor
