"""Optimizers by name, and the moving average of the weights that they train."""

from __future__ import annotations

from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn, optim
from torch.optim.swa_utils import AveragedModel

from kilonet.errors import RecipeError
from kilonet.recipe import schema as recipe
from kilonet.training.muon import Muon, hidden_and_others


def build_optimizer(model: nn.Module, settings: recipe.Optimizer) -> optim.Optimizer:
    """Return the optimizer that ``settings`` describe, for all parameters of the model.

    Adam and AdamW have PyTorch's default betas (0.9, 0.999) and epsilon 1e-8, RMSprop its alpha
    0.99. PyTorch's fused implementations are used where they exist: in small networks the other
    ones take a twentieth of a step longer.
    """
    parameters = list(model.parameters())
    if not any(parameter.requires_grad for parameter in parameters):
        raise RecipeError(
            f"{type(model).__name__} has no parameters that training may change. "
            "Give it a layer that has some, and leave requires_grad on."
        )
    rate, decay, fused = settings.lr, settings.weight_decay, _can_be_fused(parameters)
    if isinstance(settings, recipe.AdamConfig):
        return optim.Adam(parameters, lr=rate, weight_decay=decay, fused=fused)
    if isinstance(settings, recipe.AdamWConfig):
        return optim.AdamW(parameters, lr=rate, weight_decay=decay, fused=fused)
    if isinstance(settings, recipe.SgdConfig):
        return optim.SGD(
            parameters,
            lr=rate,
            momentum=settings.momentum,
            nesterov=settings.nesterov,
            weight_decay=decay,
            fused=fused,
        )
    if isinstance(settings, recipe.MuonConfig):
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
    """Return the gradient of every trainable parameter.

    A parameter that the last step did not use gets a gradient of zero, so that all processes have
    the same list.
    """
    found = []
    for parameter in model.parameters():
        if parameter.requires_grad:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            found.append(parameter.grad)
    return found


def restore_optimizer(optimizer: optim.Optimizer, state: dict[str, Any]) -> None:
    """Restore a ``state_dict``, each moment in the memory layout of its parameter.

    A file does not keep layouts. Where a parameter and its moments have different ones, PyTorch
    computes in another order: slower, and possibly with other rounding.
    """
    optimizer.load_state_dict(state)
    for parameter, moments in optimizer.state.items():
        for name, value in moments.items():
            if name != "step" and isinstance(value, Tensor):
                moments[name] = torch.empty_like(parameter, requires_grad=False).copy_(value)


class MovingAverage(AveragedModel):
    """An exponential moving average of a model's weights, in ``module``, a copy of the model.

    It often generalises better than the last weights (Polyak & Juditsky 1992). The decay grows
    with the number of updates, see ``decay_after``. Batch norm's running statistics are averaged
    too, so that the copy can be evaluated as it is; integer buffers are copied.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        super().__init__(model, use_buffers=True)
        self._decay = decay
        # Listed once: in small networks, finding them takes longer than averaging them.
        pairs = list(zip(_tensors(self.module), _tensors(model), strict=True))
        self._averaged = [pair for pair in pairs if pair[0].is_floating_point()]
        self._copied = [pair for pair in pairs if not pair[0].is_floating_point()]

    @torch.no_grad()
    def update(self) -> None:
        """Add the model's current weights to the average; the first call copies them."""
        updates = int(self.n_averaged)
        share = 1 - decay_after(updates, self._decay) if updates else 1.0
        averages, current = zip(*self._averaged, strict=True)
        torch._foreach_lerp_(averages, current, share)
        for copy, original in self._copied:
            copy.copy_(original)
        self.n_averaged += 1


def _tensors(model: nn.Module) -> list[Tensor]:
    return [tensor.detach() for tensor in chain(model.parameters(), model.buffers())]


def decay_after(updates: int, decay: float) -> float:
    """Return min(decay, (1 + updates) / (10 + updates)).

    With it the average forgets the random initial weights within the first epoch instead of
    keeping them for 1 / (1 − decay) steps (the rule of TensorFlow's ExponentialMovingAverage).
    """
    return min(decay, (1 + updates) / (10 + updates))
