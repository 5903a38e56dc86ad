"""The network of the page with code, held to that code and to its own table (less its slip)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kilonet.models.fixed import PlainValid
from kilonet.models.measure import layers


def test_layer_by_layer() -> None:
    rows = layers(PlainValid(), (1, 28, 28))
    assert [(row.name, row.in_shape, row.out_shape, row.parameters) for row in rows] == [
        ("conv1", (1, 28, 28), (16, 26, 26), 160),
        ("conv2", (16, 26, 26), (32, 24, 24), 4_640),
        ("conv3", (32, 12, 12), (40, 10, 10), 11_560),  # the page says 11,600: its bias twice
        ("conv4", (40, 5, 5), (24, 5, 5), 984),
        ("fc1", (600,), (10,), 6_010),
    ]


def page(model: PlainValid, x: Tensor) -> Tensor:
    """Return the log-probabilities that the page's forward pass describes."""
    x = model.conv2(model.conv1(x).relu()).relu()
    x = nn.MaxPool2d(2)(x)
    x = nn.MaxPool2d(2)(model.conv3(x).relu())
    x = model.conv4(x).relu()
    return model.fc1(x.reshape(-1, 600)).log_softmax(dim=1)


def test_negative_log_likelihood_of_the_page_is_our_cross_entropy() -> None:
    torch.manual_seed(0)
    model, x, labels = PlainValid(), torch.randn(8, 1, 28, 28), torch.arange(8)
    theirs = F.nll_loss(page(model, x), labels)
    ours = F.cross_entropy(model(x), labels)
    torch.testing.assert_close(theirs, ours)
    parameters = list(model.parameters())
    for first, second in zip(
        torch.autograd.grad(theirs, parameters), torch.autograd.grad(ours, parameters), strict=True
    ):
        torch.testing.assert_close(first, second, rtol=1e-4, atol=1e-6)


def test_returns_logits() -> None:
    model, x = PlainValid(), torch.randn(4, 1, 28, 28)
    torch.testing.assert_close(model(x).log_softmax(dim=1), page(model, x))
    assert not torch.allclose(model(x).exp().sum(dim=1), torch.ones(4))
