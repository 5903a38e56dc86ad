"""SimpleMNISTNet has what its page says: widths, both poolings, skips, dropout, a 1×1 head."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from kilonet.models.blocks import Residual
from kilonet.models.fixed import SimpleMNISTNet
from kilonet.models.measure import layer_kinds, layers


def test_starts_as_the_page_does() -> None:
    rows = layers(SimpleMNISTNet(), (1, 28, 28))
    assert [(row.kind, row.out_shape) for row in rows[:10]] == [
        ("Conv2d", (8, 28, 28)),
        ("BatchNorm2d", (8, 28, 28)),
        ("ReLU", (8, 28, 28)),
        ("Conv2d", (12, 28, 28)),
        ("BatchNorm2d", (12, 28, 28)),
        ("ReLU", (12, 28, 28)),
        ("Conv2d", (16, 28, 28)),
        ("BatchNorm2d", (16, 28, 28)),
        ("ReLU", (16, 28, 28)),
        ("MaxPool2d", (16, 14, 14)),
    ]


def test_ends_in_a_1x1_convolution_and_has_no_linear_layer() -> None:
    model = SimpleMNISTNet()
    last = layers(model, (1, 28, 28))[-1]
    assert (last.kind, last.kernel, last.out_shape) == ("Conv2d", "1×1", (10, 1, 1))
    assert not any(isinstance(module, nn.Linear) for module in model.modules())


def test_has_what_the_page_lists() -> None:
    model = SimpleMNISTNet()
    kinds = {type(module) for module in model.modules()}
    assert {nn.MaxPool2d, nn.AdaptiveAvgPool2d, Residual} <= kinds
    assert layer_kinds(model) == {"batch-norm", "dropout", "global-average-pooling"}
    assert layer_kinds(SimpleMNISTNet(dropout=0.0)) == {"batch-norm", "global-average-pooling"}


def test_batch_norm_after_each_convolution_but_the_last() -> None:
    kinds = [row.kind for row in layers(SimpleMNISTNet(), (1, 28, 28))]
    after = [kinds[i + 1] for i, kind in enumerate(kinds[:-1]) if kind == "Conv2d"]
    assert set(after) == {"BatchNorm2d"}


@pytest.mark.parametrize("name", ["residual1", "residual2", "residual3"])
def test_skips_carry_the_input(name: str) -> None:
    """With its last scale at zero a residual block is the identity, whatever its weights."""
    block = getattr(SimpleMNISTNet(activation="relu").eval(), name)
    norms = [module for module in block.modules() if isinstance(module, nn.BatchNorm2d)]
    nn.init.zeros_(norms[-1].weight)
    first = next(module for module in block.modules() if isinstance(module, nn.Conv2d))
    x = torch.randn(2, first.in_channels, 7, 7)
    assert torch.equal(block(x), x)


def test_activation() -> None:
    kinds = {type(module) for module in SimpleMNISTNet(activation="silu").modules()}
    assert nn.SiLU in kinds
    assert nn.ReLU not in kinds
