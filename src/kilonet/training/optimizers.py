"""Optimizers by name, as PyTorch implements them."""

from __future__ import annotations

from torch import nn, optim

from kilonet.recipe.schema import Adam, AdamW, Optimizer, Sgd


def build_optimizer(model: nn.Module, settings: Optimizer) -> optim.Optimizer:
    """Return the optimizer that ``settings`` describe, over all of the model's parameters.

    Adam and its kind keep PyTorch's betas (0.9, 0.999) and epsilon 1e-8; RMSprop its alpha 0.99.
    """
    parameters = list(model.parameters())
    rate, decay = settings.lr, settings.weight_decay
    if isinstance(settings, Adam):
        return optim.Adam(parameters, lr=rate, weight_decay=decay)
    if isinstance(settings, AdamW):
        return optim.AdamW(parameters, lr=rate, weight_decay=decay)
    if isinstance(settings, Sgd):
        return optim.SGD(
            parameters,
            lr=rate,
            momentum=settings.momentum,
            nesterov=settings.nesterov,
            weight_decay=decay,
        )
    return optim.RMSprop(parameters, lr=rate, momentum=settings.momentum, weight_decay=decay)
