"""Whose kernels a network is trained with."""

from __future__ import annotations

import torch
from torch import nn

from kilonet.errors import UsageError
from kilonet.kernels.library import KernelError, load
from kilonet.models.base import Network


def choose_kernels(name: str, device: torch.device) -> str:
    """Return "torch" or "compiled" for ``name``; "auto" takes compiled ones where they can be had.

    Raises:
        UsageError: compiled ones were asked for by name, and cannot be had.
    """
    if name == "torch":
        return name
    try:
        if device.type != "cpu":
            raise KernelError(f"they are for CPUs, and the device is {device}")
        load()
    except KernelError as error:
        if name == "auto":
            return "torch"
        raise UsageError(
            f'training.kernels: "compiled" was asked for, but {error}. Use "torch", or "auto" to '
            "have them where they can be had."
        ) from error
    return "compiled"


def use_kernels(kernels: str, model: nn.Module, device: torch.device) -> nn.Module:
    """Return ``model`` on ``device``, to be trained with ``kernels`` from ``choose_kernels``.

    Its weights are in the memory format that those kernels do best with. Compiled ones leave a
    network that they do not know to PyTorch's.
    """
    if kernels == "compiled" and isinstance(model, Network) and model.compile_blocks():
        return model.to(device)
    moved: nn.Module = model.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return moved


def look_with_kernels(kernels: str, model: nn.Module) -> None:
    """Let ``model``, which is not trained, be evaluated with ``kernels``, where they know it."""
    if kernels == "compiled" and isinstance(model, Network):
        model.compile_blocks(evaluation=True)
