"""Which kinds of layer a network contains, for the compliance checklist."""

from __future__ import annotations

from torch import nn


def layer_kinds(model: nn.Module) -> frozenset[str]:
    """Return those of "batch-norm", "dropout", "global-average-pooling" that the model has.

    A dropout of probability 0 does not count. Global average pooling is adaptive average pooling
    to one pixel; done by a function in ``forward`` it cannot be seen here.
    """
    return frozenset(kind for module in model.modules() if (kind := _kind(module)))


def _kind(module: nn.Module) -> str:
    if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
        return "batch-norm"
    if isinstance(module, nn.Dropout | nn.Dropout2d) and module.p > 0:
        return "dropout"
    if isinstance(module, nn.AdaptiveAvgPool2d) and module.output_size in (1, (1, 1)):
        return "global-average-pooling"
    return ""
