"""Optimizers by name, as PyTorch implements them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn, optim

from kilonet.errors import RecipeError
from kilonet.recipe import schema as recipe
from kilonet.training.muon import Muon, hidden_and_others


def build_optimizer(model: nn.Module, settings: recipe.Optimizer) -> optim.Optimizer:
    """Return the optimizer that ``settings`` describe, over all of the model's parameters.

    Adam and its kind keep PyTorch's betas (0.9, 0.999) and epsilon 1e-8; RMSprop its alpha 0.99.
    Where PyTorch can update all of a parameter's numbers in one pass over them ("fused") it does:
    in networks this small the many passes of the plain loops are a twentieth of a step.

    Raises:
        RecipeError: the model has no parameter that training may change.
    """
    parameters = list(model.parameters())
    if not any(parameter.requires_grad for parameter in parameters):
        raise RecipeError(
            f"{type(model).__name__} has no parameters that training may change. "
            "Give it a layer that has some, and leave requires_grad on."
        )
    rate, decay, fused = settings.lr, settings.weight_decay, _can_be_fused(parameters)
    if isinstance(settings, recipe.Adam):
        return optim.Adam(parameters, lr=rate, weight_decay=decay, fused=fused)
    if isinstance(settings, recipe.AdamW):
        return optim.AdamW(parameters, lr=rate, weight_decay=decay, fused=fused)
    if isinstance(settings, recipe.Sgd):
        return optim.SGD(
            parameters,
            lr=rate,
            momentum=settings.momentum,
            nesterov=settings.nesterov,
            weight_decay=decay,
            fused=fused,
        )
    if isinstance(settings, recipe.Muon):
        hidden, others = hidden_and_others(model)
        return Muon(
            hidden,
            others,
            lr=rate,
            momentum=settings.momentum,
            adam_lr=settings.adam_lr,
            weight_decay=decay,
        )
    return optim.RMSprop(parameters, lr=rate, momentum=settings.momentum, weight_decay=decay)


def _can_be_fused(parameters: list[nn.Parameter]) -> bool:
    return all(
        parameter.is_floating_point() and parameter.device.type in ("cpu", "cuda")
        for parameter in parameters
    )


def gradients(model: nn.Module) -> list[Tensor]:
    """Return the gradient of every parameter that training may change.

    Where the last step did not touch a parameter its gradient becomes zero, so that all workers
    have the same list.
    """
    found = []
    for parameter in model.parameters():
        if parameter.requires_grad:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            found.append(parameter.grad)
    return found


def restore_optimizer(optimizer: optim.Optimizer, state: dict[str, Any]) -> None:
    """Go back to a ``state_dict``, each moment in the memory layout of its parameter.

    A file keeps no layouts, and PyTorch takes another path through memory where a parameter and
    its moments differ in theirs: slower, and with no promise of the same rounding.
    """
    optimizer.load_state_dict(state)
    for parameter, moments in optimizer.state.items():
        for name, value in moments.items():
            if name != "step" and isinstance(value, Tensor):
                moments[name] = torch.empty_like(parameter, requires_grad=False).copy_(value)
