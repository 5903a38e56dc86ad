"""A network's weights as a safetensors file."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import nn

from kilonet.errors import CheckpointError
from kilonet.files import write_bytes

Weights = dict[str, torch.Tensor]


def weights_of(model: nn.Module) -> Weights:
    """Return a copy of the model's parameters and buffers on the CPU, by name.

    What several modules share is there once, by the name that comes first.
    """
    again = _named_again(model)
    state = {name: value for name, value in model.state_dict().items() if name not in again}
    return {name: value.detach().cpu().clone() for name, value in state.items()}


def put_weights(model: nn.Module, weights: Weights) -> None:
    """Put ``weights``, as ``weights_of`` returns them, into ``model``.

    Raises:
        RuntimeError: they are of another network.
    """
    shared = {}
    for name, first in _named_again(model).items():
        if first not in weights:
            continue  # to be told with all else that is missing
        shared[name] = weights[first]
        if not torch.equal(weights.get(name, shared[name]), shared[name]):
            raise RuntimeError(f"{name} and {first} are the same in it, and differ in the weights")
    model.load_state_dict({**weights, **shared})


def _named_again(model: nn.Module) -> dict[str, str]:
    """Return the names of parameters that have one already, each with that first name."""
    first: dict[int, str] = {}
    named = [(name, id(p)) for name, p in model.named_parameters(remove_duplicate=False)]
    for name, identity in named:
        first.setdefault(identity, name)
    return {name: first[identity] for name, identity in named if first[identity] != name}


def save_weights(path: Path, weights: Weights) -> None:
    """Write ``weights`` to ``path`` atomically."""
    write_bytes(path, save({name: tensor.contiguous() for name, tensor in weights.items()}))


def load_weights(path: Path, model: nn.Module) -> None:
    """Put the weights in ``path`` into ``model``.

    Raises:
        CheckpointError: the file is missing or damaged, or is of another network.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise CheckpointError(f"There are no weights {path}. Has the run finished?") from None
    except OSError as error:
        raise _damaged(path, error) from error
    put_bytes(model, content, path)


def put_bytes(model: nn.Module, content: bytes, path: Path) -> None:
    """Put the weights in ``content``, those of a file, into ``model``; ``path`` names it.

    Raises:
        CheckpointError: they are damaged, or of another network.
    """
    try:
        weights = load(content)
    except (SafetensorError, ValueError) as error:
        raise _damaged(path, error) from error
    try:
        put_weights(model, weights)
    except RuntimeError as error:
        raise CheckpointError(
            f"The weights {path} are not of this network: {_first_line(error)}. "
            "Was the recipe or the network's code changed after training?"
        ) from None


def _damaged(path: Path, error: Exception) -> CheckpointError:
    return CheckpointError(
        f"The weights {path} are damaged ({error}). Restore the file, or train again."
    )


def _first_line(error: RuntimeError) -> str:
    lines = [line.strip() for line in str(error).splitlines()]
    return lines[1 if len(lines) > 1 else 0].rstrip(".")
