"""Which kinds of layer a compliance check sees."""

from __future__ import annotations

import pytest
from torch import nn

from kilonet.models.dropout import Dropout
from kilonet.models.measure import layer_kinds


@pytest.mark.parametrize(
    ("layer", "kind"),
    [
        (nn.BatchNorm2d(3), "batch-norm"),
        (nn.BatchNorm1d(3), "batch-norm"),
        (nn.Dropout(0.1), "dropout"),
        (nn.Dropout2d(0.1), "dropout"),
        (Dropout(0.05), "dropout"),
        (nn.Dropout(0.0), None),
        (nn.AdaptiveAvgPool2d(1), "global-average-pooling"),
        (nn.AdaptiveAvgPool2d((1, 1)), "global-average-pooling"),
        (nn.AdaptiveAvgPool2d(2), None),
        (nn.AdaptiveAvgPool2d((1, 2)), None),
        (nn.AdaptiveMaxPool2d(1), None),
        (nn.AvgPool2d(2), None),
        (nn.LayerNorm(3), None),
    ],
    ids=str,
)
def test_kind(layer: nn.Module, kind: str | None) -> None:
    assert layer_kinds(layer) == ({kind} if kind else set())
    assert layer_kinds(nn.Sequential(nn.ReLU(), nn.Sequential(layer))) == layer_kinds(layer)


def test_nothing() -> None:
    assert layer_kinds(nn.Linear(1, 1)) == frozenset()
