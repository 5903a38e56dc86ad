"""Chains written as words: the published layer table of gap-14k, shapes, names, refusals."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from kilonet.errors import RecipeError
from kilonet.models.blocks import Residual
from kilonet.models.build import build
from kilonet.models.conv_stack import ConvStack
from kilonet.models.measure import count_parameters, layer_kinds, layers
from kilonet.recipe.load import resolve

# In C×H×W, kernel, out C×H×W, as the page lists them; GAP and classifier end it.
PAGE = [
    ("conv1", (1, 28, 28), "3×3", (16, 28, 28)),
    ("conv2", (16, 28, 28), "3×3", (16, 28, 28)),
    ("pool1", (16, 28, 28), "2×2", (16, 14, 14)),
    ("point1", (16, 14, 14), "1×1", (12, 14, 14)),
    ("conv3", (12, 14, 14), "3×3", (28, 14, 14)),
    ("conv4", (28, 14, 14), "3×3", (28, 14, 14)),
    ("pool2", (28, 14, 14), "2×2", (28, 7, 7)),
    ("point2", (28, 7, 7), "1×1", (32, 7, 7)),
    ("gap", (32, 7, 7), "–", (32, 1, 1)),
    ("classifier", (32, 1, 1), "1×1", (10, 1, 1)),
]
WEIGHTS = [144, 2304, 0, 192, 3024, 7056, 0, 896, 0, 330]


def test_gap_14k_layer_by_layer() -> None:
    rows = [
        row
        for row in layers(build(resolve("gap-14k").recipe.model), (1, 28, 28))
        if row.kind in ("Conv2d", "MaxPool2d", "AdaptiveAvgPool2d")
    ]
    found = [(row.name.split(".")[1], row.in_shape, row.kernel, row.out_shape) for row in rows]
    assert found == PAGE
    assert [row.parameters for row in rows] == WEIGHTS


def test_gap_14k_blocks() -> None:
    """Batch norm, ReLU and dropout of 0.05 after all six convolutions but the classifier."""
    rows = layers(build(resolve("gap-14k").recipe.model), (1, 28, 28))
    kinds = [row.kind for row in rows]
    block = ["Conv2d", "BatchNorm2d", "ReLU", "Dropout"]
    assert kinds == [
        *block, *block, "MaxPool2d", *block, *block, *block, "MaxPool2d", *block,
        "AdaptiveAvgPool2d", "Conv2d", "Flatten",
    ]  # fmt: skip
    model = build(resolve("gap-14k").recipe.model)
    assert {m.p for m in model.modules() if isinstance(m, nn.Dropout)} == {0.05}
    assert [m.bias is not None for m in model.modules() if isinstance(m, nn.Conv2d)] == (
        [False] * 6 + [True]
    )


@pytest.mark.parametrize(
    ("recipe", "inputs"), [("gap-iter0", 1176), ("gap-iter1", 1176), ("gap-iter2", 980)]
)
def test_iterations_end_in_the_published_linear_layer(recipe: str, inputs: int) -> None:
    model = build(resolve(recipe).recipe.model)
    linear = [module for module in model.modules() if isinstance(module, nn.Linear)]
    assert [(module.in_features, module.out_features) for module in linear] == [(inputs, 10)]


@pytest.mark.parametrize(
    ("layers", "head", "shape"),
    [
        ("c8 M c12 A", "fc", (12, 7, 7)),
        ("c20k5s2 c32 M c48 M3", "fc", (48, 2, 2)),
        ("p3 A7", "gap", (3, 4, 4)),
        ("c4s2 c5k1s3", "fc", (5, 5, 5)),
        ("c4 d6 r M d8k5v rk5 R A", "gap", (8, 5, 5)),
    ],
)
def test_shapes(layers: str, head: str, shape: tuple[int, int, int]) -> None:
    model = ConvStack(layers, head)
    assert model.features(torch.zeros(2, 1, 28, 28)).shape[1:] == shape
    assert model(torch.zeros(2, 1, 28, 28)).shape == (2, 10)


def test_gap_averages_and_maps() -> None:
    model = ConvStack("c6 M", "gap", batch_norm=False).eval()
    x = torch.randn(3, 1, 28, 28)
    pooled = model.features(x).mean(dim=(2, 3))
    classifier = model.head.classifier
    expected = pooled @ classifier.weight.flatten(1).T + classifier.bias
    torch.testing.assert_close(model(x), expected)


def test_options() -> None:
    plain = ConvStack("c4 M", "fc", batch_norm=False, bias=True, head_bias=False)
    assert "batch-norm" not in layer_kinds(plain)
    assert plain.features.conv1.conv.bias is not None
    assert plain.head.classifier.bias is None
    assert isinstance(ConvStack("c4", activation="silu").features.conv1.act, nn.SiLU)


@pytest.mark.parametrize("layers", ["c4 M M M M M", "c4 M9 M9", "c4 A9 A4"])
def test_nothing_left_of_the_image(layers: str) -> None:
    with pytest.raises(RecipeError, match=rf'layers: "{layers}" reduces a 28×28 image to size 0'):
        ConvStack(layers)


def test_measuring_its_shape_draws_nothing_and_changes_nothing() -> None:
    torch.manual_seed(0)
    model = ConvStack("c4 M", dropout=0.5)
    after = torch.rand(1)
    torch.manual_seed(0)
    nn.Conv2d(1, 4, 3, bias=False)
    nn.Conv2d(4, 10, 1)
    assert torch.equal(after, torch.rand(1))
    assert all(module.training for module in model.modules())
    assert model.features.conv1.norm.num_batches_tracked == 0


def test_pooling_first_computes_the_same_with_max_pooling_and_relu() -> None:
    torch.manual_seed(0)
    plain = ConvStack("c4 M c6 M3 p8", "fc").eval()
    first = ConvStack("c4 M c6 M3 p8", "fc", pool_first=True).eval()
    pooled = [type(module).__name__ for module in first.features[0]]
    assert pooled == ["Conv2d", "MaxPool2d", "BatchNorm2d", "ReLU"]
    for ours, theirs in zip(first.parameters(), plain.parameters(), strict=True):
        ours.data.copy_(theirs.data)
    images = torch.randn(3, 1, 28, 28)
    assert torch.allclose(first(images), plain(images), atol=1e-6)


def test_pooling_first_leaves_a_pooling_that_follows_no_convolution() -> None:
    network = ConvStack("M c4 M M2 p6", pool_first=True)
    assert [name for name, _ in network.features.named_children()] == [
        "pool1", "conv1", "pool2", "point1",
    ]  # fmt: skip
    assert [type(module).__name__ for module in network.features.conv1][1] == "MaxPool2d"


def test_an_unpadded_convolution_takes_the_margin_off() -> None:
    network = ConvStack("c4k5s2v c6v")
    shapes = [
        row.out_shape for row in layers(network, (1, 28, 28)) if row.macs and "×" in row.kernel
    ]
    assert shapes[:2] == [(4, 12, 12), (6, 10, 10)]
    assert network.features.conv1.conv.padding == (0, 0)


def test_separable_residual_chain_is_what_its_words_say() -> None:
    model = ConvStack("c8 M d16 r M R")
    parameters = {
        name: sum(p.numel() for p in part.parameters())
        for name, part in [*model.features.named_children(), ("head", model.head)]
    }
    assert parameters == {
        "conv1": 72 + 16,
        "pool1": 0,
        "separable1": 72 + 16 + 128 + 32,
        "residual1": 144 + 32 + 256 + 32,
        "pool2": 0,
        "residual2": 9 * 256 + 32,
        "head": 170,
    }
    x = torch.randn(2, 16, 14, 14)
    residual = model.features.residual1.eval()
    assert isinstance(residual, Residual)
    torch.testing.assert_close(residual(x), x + residual.block(x))


def test_style_reaches_every_block() -> None:
    model = ConvStack(
        "c4 d6 r R", batch_norm=False, bias=True, activation="silu", dropout=0.1, pool_first=True
    )
    kinds = [type(module).__name__ for module in model.modules()]
    assert "BatchNorm2d" not in kinds and "ReLU" not in kinds
    assert kinds.count("SiLU") == 6  # two of each separable one
    assert kinds.count("Dropout") == 4  # one a word
    convolutions = [module for module in model.features.modules() if isinstance(module, nn.Conv2d)]
    assert all(convolution.bias is not None for convolution in convolutions)


def test_pooling_first_joins_convolutions_only() -> None:
    names = [
        name for name, _ in ConvStack("M d4 M c4 r M M", pool_first=True).features.named_children()
    ]
    assert names == ["pool1", "separable1", "conv1", "residual1", "pool2", "pool3"]
    late = ConvStack("d4 M").features.eval()
    early = ConvStack("d4 M", pool_first=True).features.eval()
    early.load_state_dict(late.state_dict())
    x = torch.randn(2, 1, 8, 8)
    torch.testing.assert_close(early(x), late(x))  # ReLU and a rising batch norm leave the maximum


def test_shared_blocks_have_one_set_of_weights_and_norms_of_their_own() -> None:
    model = ConvStack("c4 r s M s R s")
    first, second, third, full, again = (m for m in model.modules() if isinstance(m, Residual))
    for one, other in ((first, second), (first, third), (full, again)):
        weights = [
            {id(m.weight) for m in b.modules() if isinstance(m, nn.Conv2d)} for b in (one, other)
        ]
        norms = [
            {id(m.weight) for m in b.modules() if isinstance(m, nn.BatchNorm2d)}
            for b in (one, other)
        ]
        assert weights[0] == weights[1]
        assert not norms[0] & norms[1]
    apart = ConvStack("c4 r r M r R R")
    shared = 2 * (4 * 9 + 4 * 4) + 4 * 4 * 9
    assert count_parameters(model) == count_parameters(apart) - shared


def test_separable_convolutions_may_be_linear_between_their_halves() -> None:
    """Batch norm and nonlinearity only after the pointwise half."""
    kinds = [type(m).__name__ for m in ConvStack("c4 d6l rl r").modules()]
    assert kinds.count("Conv2d") == 1 + 2 + 2 + 2 + 1
    assert kinds.count("BatchNorm2d") == kinds.count("ReLU") == 1 + 1 + 1 + 2
    rows = layers(ConvStack("c4 d6l"), (1, 28, 28))
    assert [row.kind for row in rows[3:8]] == [
        "Conv2d",
        "Identity",
        "Conv2d",
        "BatchNorm2d",
        "ReLU",
    ]


def test_p4_layers_store_a_quarter() -> None:
    model = ConvStack("c8g d16lg rg M d*lt", "maps", norm_scale=3.0)
    parameters = {
        name: sum(p.numel() for p in part.parameters())
        for name, part in [*model.features.named_children(), ("head", model.head)]
    }
    assert parameters == {
        "conv1": 18 + 2,
        "separable1": 18 + 8 * 16 // 4 + 4,
        "residual1": 36 + 4 + 16 * 16 // 4 + 4,
        "pool1": 0,
        "separable2": 36 + 16 * 10 + 10,
        "head": 1,
    }
    assert model.count_parameters() == sum(parameters.values())


def test_maps_are_averaged_into_logits() -> None:
    model = ConvStack("c6 M p*", "maps", num_classes=7).eval()
    x = torch.randn(3, 1, 28, 28)
    expected = model.features(x).mean(dim=(2, 3)) * model.head.temperature.factor
    torch.testing.assert_close(model(x), expected)
    assert model(x).shape == (3, 7)


def test_maps_need_one_for_each_class() -> None:
    with pytest.raises(
        RecipeError, match=r"last layer with 10 channels, one for each class; .* 8\. .*d\*"
    ):
        ConvStack("c8", "maps")
