"""Two convolutions and a hidden layer, shape by shape as the page draws it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from kilonet.models.dropout import Dropout
from kilonet.models.fixed import TwoConv
from kilonet.models.measure import layers


@pytest.mark.parametrize("hidden", [12, 64, 128])
def test_parameters_by_hand(hidden: int) -> None:
    rows = {row.name: row.parameters for row in layers(TwoConv(hidden), (1, 28, 28))}
    assert rows == {
        "conv1": 16 * 9 + 16,
        "norm1": 32,
        "conv2": 16 * 32 * 9 + 32,
        "norm2": 64,
        "fc1": 1568 * hidden + hidden,
        "drop": 0,
        "fc2": hidden * 10 + 10,
    }


def test_is_the_network_of_the_page() -> None:
    model = TwoConv(dropout=0.25).eval()
    same = nn.Sequential(
        model.conv1, model.norm1, nn.ReLU(), nn.MaxPool2d(2),
        model.conv2, model.norm2, nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), model.fc1, nn.ReLU(), model.fc2,
    ).eval()  # fmt: skip
    shapes: list[tuple[int, ...]] = []
    for layer in same:
        layer.register_forward_hook(lambda *call: shapes.append(tuple(call[-1].shape[1:])))
    x = torch.randn(3, 1, 28, 28)
    expected: Tensor = same(x)
    assert torch.equal(model(x), expected)
    assert shapes[3::4][:2] == [(16, 14, 14), (32, 7, 7)]
    assert shapes[8] == (1568,)


def test_drops_only_in_training() -> None:
    model = TwoConv(dropout=0.5)
    assert isinstance(model.drop, Dropout)
    assert model.drop.p == 0.5
    x = torch.randn(4, 1, 28, 28)
    assert not torch.equal(model(x), model(x))
    model.eval()
    assert torch.equal(model(x), model(x))
