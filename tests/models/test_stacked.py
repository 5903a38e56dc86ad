"""The network of the page with the published summary, held to it letter by letter."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from kilonet.models.build import build
from kilonet.models.fixed import Stacked1x1
from kilonet.models.measure import layer_kinds, layers
from kilonet.models.summary import torchsummary_text
from kilonet.recipe.load import resolve

PUBLISHED = Path(__file__).parent / "golden" / "torchsummary_stacked_1x1.txt"


def test_published_summary_to_the_letter() -> None:
    model = build(resolve("stacked-1x1").recipe.model)
    assert isinstance(model, Stacked1x1)
    assert torchsummary_text(model, (1, 28, 28)) + "\n" == PUBLISHED.read_text(encoding="utf-8")


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
