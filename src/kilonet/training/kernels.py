"""Whose kernels a network is trained with."""

from __future__ import annotations

import torch
from torch import nn

from kilonet.errors import UsageError
from kilonet.kernels.library import KernelError, load
from kilonet.models.blocks import compile_ends


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


def use_kernels(kernels: str, model: nn.Module) -> None:
    """Have ``model`` trained with ``kernels``, as ``choose_kernels`` returned them."""
    if kernels == "compiled":
        compile_ends(model)
