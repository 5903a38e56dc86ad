"""A network's weights as a safetensors file."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from kilonet.atomic import write_bytes
from kilonet.errors import CheckpointError

Weights = dict[str, torch.Tensor]


def weights_of(model: nn.Module) -> Weights:
    """Return a copy of the model's parameters and buffers on the CPU, by name."""
    return {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}


def save_weights(path: Path, weights: Weights) -> None:
    """Write ``weights`` to ``path`` atomically."""
    write_bytes(path, save({name: tensor.contiguous() for name, tensor in weights.items()}))


def load_weights(path: Path, model: nn.Module) -> None:
    """Put the weights in ``path`` into ``model``.

    Raises:
        CheckpointError: the file is missing or damaged, or is of another network.
    """
    try:
        weights = load_file(path)
    except FileNotFoundError:
        raise CheckpointError(f"There are no weights {path}. Has the run finished?") from None
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(
            f"The weights {path} are damaged ({error}). Restore the file, or train again."
        ) from error
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise CheckpointError(
            f"The weights {path} are not of this network: {_first_line(error)}. "
            "Was the recipe or the network's code changed after training?"
        ) from None


def _first_line(error: RuntimeError) -> str:
    lines = [line.strip() for line in str(error).splitlines()]
    return lines[1 if len(lines) > 1 else 0].rstrip(".")
