"""One step of Kilonet, written out so that each optimisation can be switched off."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.contestants import task
from benchmarks.contestants.kilonet_loop import RECIPE
from benchmarks.contestants.meter import AfterStep
from kilonet.data.batches import normalise
from kilonet.data.dataset import load_dataset
from kilonet.models.blocks import ConvBlock
from kilonet.models.build import build
from kilonet.models.dropout import Dropout
from kilonet.recipe.load import resolve
from kilonet.training.device import keep_freed_memory, use_kernels


@dataclass(frozen=True)
class Pieces:
    """The optimisations of a step.

    ``dropout`` is "kilonet", "torch" or "none"; ``joined`` lets a block compute batch norm, ReLU
    and Kilonet's dropout as one; ``compiled`` uses the compiled kernels.
    """

    channels_last: bool
    dropout: str
    joined: bool
    keep_memory: bool
    fused_optimizer: bool
    bfloat16: bool
    compiled: bool


def train(
    after_step: AfterStep, data: str, epochs: int, batch_size: int, threads: int, **switches: Any
) -> None:
    """Train with the optimisations in ``switches``; see ``Pieces``."""
    pieces = Pieces(**switches)
    torch.set_num_threads(threads)
    if pieces.keep_memory:
        keep_freed_memory()
    layout = torch.channels_last if pieces.channels_last else torch.contiguous_format
    model = network(pieces).to(memory_format=layout)  # type: ignore[call-overload]
    optimizer = torch.optim.SGD(
        model.parameters(), task.PEAK_RATE, momentum=task.MOMENTUM, fused=pieces.fused_optimizer
    )
    digits = load_dataset("mnist", Path(data))
    for _ in range(epochs):
        for chosen in torch.randperm(task.IMAGES).split(batch_size):  # type: ignore[no-untyped-call]
            images = normalise(digits.train_images[chosen], digits.mean, digits.std)
            with torch.autocast("cpu", torch.bfloat16, enabled=pieces.bfloat16):
                logits = model(images.to(memory_format=layout))
            loss = F.cross_entropy(logits.float(), digits.train_labels[chosen])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            after_step(len(chosen))


def network(pieces: Pieces) -> nn.Module:
    """Return the recipe's network with its dropout and its blocks as ``pieces`` say."""
    model = with_dropout(build(resolve(RECIPE).recipe.model), pieces.dropout)
    model = model if pieces.joined else unfused(model)
    if pieces.compiled:
        use_kernels("compiled", model, torch.device("cpu"))
    task.require_same_size(sum(parameter.numel() for parameter in model.parameters()))
    return model


def with_dropout(model: nn.Module, kind: str) -> nn.Module:
    """Return ``model`` with Kilonet's dropout kept, replaced by PyTorch's, or removed."""
    for name, module in model.named_children():
        if not isinstance(module, Dropout):
            with_dropout(module, kind)
        elif kind != "kilonet":
            setattr(model, name, nn.Dropout(module.p) if kind == "torch" else nn.Identity())
    return model


def unfused(model: nn.Module) -> nn.Module:
    """Return ``model`` with each block replaced by its modules, one after another."""
    for name, module in model.named_children():
        if isinstance(module, ConvBlock):
            setattr(model, name, nn.Sequential(*module))
        else:
            unfused(module)
    return model
