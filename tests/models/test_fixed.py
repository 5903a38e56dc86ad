"""The networks with a fixed architecture, compared with their published versions."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kilonet.models.blocks import Residual
from kilonet.models.build import build
from kilonet.models.dropout import Dropout
from kilonet.models.fixed import PlainValid, SimpleMNISTNet, Stacked1x1, TwoConv
from kilonet.models.measure import layer_kinds, layers
from kilonet.recipe.load import resolve


@pytest.mark.parametrize("hidden", [12, 64, 128])
def test_two_conv_parameters(hidden: int) -> None:
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


def test_two_conv_architecture() -> None:
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


def test_layer_by_layer() -> None:
    rows = layers(Stacked1x1(), (1, 28, 28))
    assert [(row.kind, row.kernel, row.out_shape, row.parameters) for row in rows] == [
        ("Conv2d", "3×3", (8, 28, 28), 80),
        ("MaxPool2d", "2×2", (8, 14, 14), 0),
        ("Conv2d", "3×3", (16, 14, 14), 1168),
        ("MaxPool2d", "2×2", (16, 7, 7), 0),
        ("Conv2d", "1×1", (8, 7, 7), 136),
        ("Conv2d", "3×3", (16, 7, 7), 1168),
        ("Conv2d", "1×1", (16, 7, 7), 272),
        ("Conv2d", "3×3", (32, 7, 7), 4640),
        ("Conv2d", "1×1", (32, 7, 7), 1056),
        ("Linear", "–", (10,), 15690),
    ]


def test_is_the_network_of_the_page() -> None:
    """ReLU after the 3×3 convolutions, none after the 1×1 ones."""
    model = Stacked1x1()
    same = nn.Sequential(
        model.conv1, nn.ReLU(), nn.MaxPool2d(2),
        model.conv2, nn.ReLU(), nn.MaxPool2d(2), model.reduce,
        model.conv3, nn.ReLU(), model.refine3,
        model.conv4, nn.ReLU(), model.refine4,
        nn.Flatten(), model.classifier,
    )  # fmt: skip
    x = torch.randn(3, 1, 28, 28)
    assert torch.equal(model(x), same(x))


def test_batch_norm_and_dropout_are_where_the_recipe_says() -> None:
    model = build(
        resolve("stacked-1x1", ["model.batch_norm=true", "model.dropout=0.25"]).recipe.model
    )
    assert isinstance(model, Stacked1x1)
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    drops = [module.p for module in model.modules() if isinstance(module, nn.Dropout)]
    assert [norm.num_features for norm in norms] == [8, 16, 16, 32]
    assert drops == [0.25] * 4
    assert model.count_parameters() == 24_210 + 2 * (8 + 16 + 16 + 32)
    assert layer_kinds(model) >= {"batch-norm", "dropout"}
    norm1, norm2, norm3, norm4 = norms
    same = nn.Sequential(
        model.conv1, norm1, nn.ReLU(), nn.MaxPool2d(2),
        model.conv2, norm2, nn.ReLU(), nn.MaxPool2d(2), model.reduce,
        model.conv3, norm3, nn.ReLU(), model.refine3,
        model.conv4, norm4, nn.ReLU(), model.refine4,
        nn.Flatten(), model.classifier,
    )  # fmt: skip
    x = torch.randn(3, 1, 28, 28)
    assert torch.equal(model.eval()(x), same.eval()(x))
    assert not torch.equal(model.train()(x), same.train()(x))


def test_cross_entropy_of_its_log_softmax_is_that_of_its_logits() -> None:
    """The page ends in LogSoftmax and then takes CrossEntropyLoss: log-softmax twice is once."""
    model, x, labels = Stacked1x1(), torch.randn(8, 1, 28, 28), torch.arange(8)
    page = F.cross_entropy(model(x).log_softmax(dim=1), labels)
    ours = F.cross_entropy(model(x), labels)
    torch.testing.assert_close(page, ours)
    for theirs, mine in zip(_gradients(model, page), _gradients(model, ours), strict=True):
        torch.testing.assert_close(theirs, mine, rtol=1e-4, atol=1e-6)


def _gradients(model: nn.Module, loss: torch.Tensor) -> tuple[torch.Tensor, ...]:
    return torch.autograd.grad(loss, list(model.parameters()))


def test_plain_valid_layers() -> None:
    rows = layers(PlainValid(), (1, 28, 28))
    assert [(row.name, row.in_shape, row.out_shape, row.parameters) for row in rows] == [
        ("conv1", (1, 28, 28), (16, 26, 26), 160),
        ("conv2", (16, 26, 26), (32, 24, 24), 4_640),
        ("conv3", (32, 12, 12), (40, 10, 10), 11_560),  # the published 11,600 count its bias twice
        ("conv4", (40, 5, 5), (24, 5, 5), 984),
        ("fc1", (600,), (10,), 6_010),
    ]


def published_plain_valid(model: PlainValid, x: Tensor) -> Tensor:
    """Return the log-probabilities of the published forward pass."""
    x = model.conv2(model.conv1(x).relu()).relu()
    x = nn.MaxPool2d(2)(x)
    x = nn.MaxPool2d(2)(model.conv3(x).relu())
    x = model.conv4(x).relu()
    return model.fc1(x.reshape(-1, 600)).log_softmax(dim=1)


def test_plain_valid_loss_is_the_published_one() -> None:
    torch.manual_seed(0)
    model, x, labels = PlainValid(), torch.randn(8, 1, 28, 28), torch.arange(8)
    theirs = F.nll_loss(published_plain_valid(model, x), labels)
    ours = F.cross_entropy(model(x), labels)
    torch.testing.assert_close(theirs, ours)
    parameters = list(model.parameters())
    for first, second in zip(
        torch.autograd.grad(theirs, parameters), torch.autograd.grad(ours, parameters), strict=True
    ):
        torch.testing.assert_close(first, second, rtol=1e-4, atol=1e-6)


def test_returns_logits() -> None:
    model, x = PlainValid(), torch.randn(4, 1, 28, 28)
    torch.testing.assert_close(model(x).log_softmax(dim=1), published_plain_valid(model, x))
    assert not torch.allclose(model(x).exp().sum(dim=1), torch.ones(4))


def test_simple_starts_with_three_convolutions() -> None:
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


def test_simple_ends_in_a_1x1_convolution() -> None:
    model = SimpleMNISTNet()
    last = layers(model, (1, 28, 28))[-1]
    assert (last.kind, last.kernel, last.out_shape) == ("Conv2d", "1×1", (10, 1, 1))
    assert not any(isinstance(module, nn.Linear) for module in model.modules())


def test_simple_has_both_poolings_skips_and_dropout() -> None:
    model = SimpleMNISTNet()
    kinds = {type(module) for module in model.modules()}
    assert {nn.MaxPool2d, nn.AdaptiveAvgPool2d, Residual} <= kinds
    assert layer_kinds(model) == {"batch-norm", "dropout", "global-average-pooling"}
    assert layer_kinds(SimpleMNISTNet(dropout=0.0)) == {"batch-norm", "global-average-pooling"}


def test_simple_has_batch_norm_after_all_convolutions_but_the_last() -> None:
    kinds = [row.kind for row in layers(SimpleMNISTNet(), (1, 28, 28))]
    after = [kinds[i + 1] for i, kind in enumerate(kinds[:-1]) if kind == "Conv2d"]
    assert set(after) == {"BatchNorm2d"}


@pytest.mark.parametrize("name", ["residual1", "residual2", "residual3"])
def test_simple_skip_connections(name: str) -> None:
    """With its last scale at zero a residual block is the identity, whatever its weights."""
    block = getattr(SimpleMNISTNet(activation="relu").eval(), name)
    norms = [module for module in block.modules() if isinstance(module, nn.BatchNorm2d)]
    nn.init.zeros_(norms[-1].weight)
    first = next(module for module in block.modules() if isinstance(module, nn.Conv2d))
    x = torch.randn(2, first.in_channels, 7, 7)
    assert torch.equal(block(x), x)


def test_simple_activation() -> None:
    kinds = {type(module) for module in SimpleMNISTNet(activation="silu").modules()}
    assert nn.SiLU in kinds
    assert nn.ReLU not in kinds
