"""Parameters, multiply-accumulates and memory, against hand formulas and torchinfo."""

from __future__ import annotations

import math

import pytest
import torch
import torchinfo
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from kilonet.errors import RecipeError
from kilonet.models.dropout import Dropout
from kilonet.models.measure import (
    LayerRow,
    count_parameters,
    layer_kinds,
    layers,
    parameter_bytes,
    peak_activation_bytes,
    running_statistics,
    total_macs,
)


def small() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 10),
    )


class Skip(nn.Module):
    """A residual block whose convolution is a module, its sum and its head plain functions."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 3, padding=1)
        self.scale = nn.Parameter(torch.ones(2, 1, 1))
        self.weight = nn.Parameter(torch.ones(5, 2 * 6 * 6))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear((x + self.scale * self.conv(x)).flatten(1), self.weight)


def test_rows() -> None:
    assert layers(small(), (1, 8, 8)) == [
        LayerRow("0", "Conv2d", (1, 8, 8), "3×3", (4, 8, 8), 36, 36 * 64),
        LayerRow("1", "BatchNorm2d", (4, 8, 8), "–", (4, 8, 8), 8, 0),
        LayerRow("2", "ReLU", (4, 8, 8), "–", (4, 8, 8), 0, 0),
        LayerRow("3", "MaxPool2d", (4, 8, 8), "2×2", (4, 4, 4), 0, 0),
        LayerRow("4", "AdaptiveAvgPool2d", (4, 4, 4), "–", (4, 1, 1), 0, 0),
        LayerRow("5", "Flatten", (4, 1, 1), "–", (4,), 0, 0),
        LayerRow("6", "Linear", (4,), "–", (10,), 50, 40),
    ]


def test_totals() -> None:
    model = small()
    assert count_parameters(model) == 36 + 8 + 50
    assert running_statistics(model) == 8
    assert parameter_bytes(model) == 4 * 94
    assert parameter_bytes(model.half()) == 2 * 94
    assert total_macs(small(), (1, 8, 8)) == 36 * 64 + 40
    assert peak_activation_bytes(small(), (1, 8, 8)) == 4 * (256 + 256)
    assert peak_activation_bytes(small(), (1, 8, 8), bytes_per_value=1) == 512


def test_frozen_parameters_and_fixed_buffers_count() -> None:
    model = nn.Linear(3, 2)
    model.weight.requires_grad_(False)
    model.register_buffer("table", torch.zeros(7))
    assert count_parameters(model) == 6 + 2 + 7


def test_shared_tensors_count_once() -> None:
    first, second = nn.Linear(3, 3), nn.Linear(3, 3)
    second.weight = first.weight
    model = nn.Sequential(first, second, first)
    assert count_parameters(model) == 9 + 3 + 3
    assert [row.parameters for row in layers(model, (3,))] == [12, 3, 0]
    assert [row.macs for row in layers(model, (3,))] == [9, 9, 9]


def test_norms_without_affine_or_statistics() -> None:
    plain = nn.BatchNorm2d(4, affine=False)
    assert (count_parameters(plain), running_statistics(plain)) == (0, 8)
    untracked = nn.BatchNorm2d(4, track_running_stats=False)
    assert (count_parameters(untracked), running_statistics(untracked)) == (8, 0)


def test_plain_functions_count_in_the_total_but_have_no_row() -> None:
    rows = layers(Skip(), (2, 6, 6))
    assert [row.name for row in rows] == ["conv"]
    assert rows[0].macs == 2 * 9 * 2 * 36
    assert total_macs(Skip(), (2, 6, 6)) == rows[0].macs + 5 * 72
    assert count_parameters(Skip()) == 38 + 2 + 360


def test_a_module_of_its_own_is_its_own_leaf() -> None:
    assert [row.name for row in layers(nn.Linear(2, 3), (2,))] == ["Linear"]


def test_keyword_inputs_and_several_outputs() -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.recurrent = nn.RNN(3, 5, batch_first=True)
            self.head = nn.Linear(5, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(input=self.recurrent(x)[0])

    rows = layers(Both(), (4, 3))
    assert [(row.in_shape, row.out_shape) for row in rows] == [((4, 3), (4, 5)), ((4, 5), (4, 2))]


@pytest.mark.parametrize(
    ("module", "shape", "kernel"),
    [
        (nn.Conv2d(1, 1, (3, 5)), (1, 9, 9), "3×5"),
        (nn.AvgPool2d((1, 2)), (1, 9, 9), "1×2"),
        (nn.MaxPool1d(4), (1, 9), "4"),
        (nn.AvgPool3d(2), (1, 4, 4, 4), "2×2×2"),
        (nn.ReLU(), (1, 9, 9), "–"),
    ],
)
def test_kernel(module: nn.Module, shape: tuple[int, ...], kernel: str) -> None:
    assert layers(module, shape)[0].kernel == kernel


@settings(max_examples=40, deadline=None)
@given(
    groups=st.sampled_from([1, 2, 4]),
    widths=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.integers(1, 3),
    padding=st.integers(0, 2),
    bias=st.booleans(),
)
def test_convolution_by_hand(
    *,
    groups: int,
    widths: tuple[int, int],
    kernel: tuple[int, int],
    stride: int,
    padding: int,
    bias: bool,
) -> None:
    into, out = (groups * width for width in widths)
    conv = nn.Conv2d(into, out, kernel, stride, padding, groups=groups, bias=bias)
    (row,) = layers(conv, (into, 7, 9))
    each = math.prod(kernel) * into // groups
    height, width = (
        (n + 2 * padding - k) // stride + 1 for n, k in zip((7, 9), kernel, strict=True)
    )
    assert row.out_shape == (out, height, width)
    assert row.macs == each * out * height * width
    assert row.parameters == each * out + bias * out


def test_transposed_convolution_by_hand() -> None:
    (row,) = layers(nn.ConvTranspose2d(4, 6, 3, stride=2), (4, 5, 5))
    assert row.macs == 4 * 25 * 6 * 9


def test_agrees_with_torchinfo_where_it_has_no_biases_to_count() -> None:
    """torchinfo adds a multiply-accumulate a bias and one a batch-norm parameter."""
    model = nn.Sequential(
        nn.Conv2d(1, 6, 3, bias=False),
        nn.ReLU(),
        nn.Conv2d(6, 6, 3, stride=2, groups=3, bias=False),
        nn.Flatten(),
        nn.Linear(6 * 5 * 5, 10, bias=False),
    )
    other = torchinfo.summary(model, (1, 1, 14, 14), verbose=0, device="cpu")
    assert total_macs(model, (1, 14, 14)) == other.total_mult_adds
    assert count_parameters(model) == other.total_params
    rows = [info for info in other.summary_list if info.is_leaf_layer]
    assert [(r.kind, (1, *r.out_shape)) for r in layers(model, (1, 14, 14))] == [
        (info.class_name, tuple(info.output_size)) for info in rows
    ]


def test_leaves_the_model_as_it_was() -> None:
    model = nn.Sequential(small(), nn.Dropout(0.5)).train()
    model[0][1].eval()  # a batch norm kept fixed while the rest trains
    before = {name: value.clone() for name, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    generator = torch.get_rng_state()
    layers(model, (1, 8, 8))
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), generator)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_refuses_an_image_that_does_not_fit_and_cleans_up() -> None:
    model = small().train()
    with pytest.raises(RecipeError, match=r"Sequential cannot process an image of 3×8×8: .*"):
        layers(model, (3, 8, 8))
    assert all(module.training for module in model.modules())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    assert total_macs(model, (1, 8, 8)) == 36 * 64 + 40


@pytest.mark.filterwarnings("ignore:Lazy modules")
def test_refuses_to_count_what_has_no_size_yet() -> None:
    with pytest.raises(RecipeError, match="LazyLinear does not know its size yet"):
        count_parameters(nn.Sequential(nn.LazyLinear(3)))


def test_a_model_without_parameters_or_layers() -> None:
    assert count_parameters(nn.Identity()) == 0
    assert total_macs(nn.Identity(), (1, 2, 2)) == 0
    assert peak_activation_bytes(nn.Sequential(nn.Identity()), (1, 2, 2)) == 32


def test_half_precision_models_get_half_precision_images() -> None:
    assert total_macs(nn.Linear(3, 4).bfloat16(), (3,)) == 12


def test_what_the_constructor_makes_by_a_formula_is_not_stored() -> None:
    class Formula(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("stored", torch.ones(3))
            self.register_buffer("made", torch.arange(5.0), persistent=False)

    assert count_parameters(Formula()) == 3
    assert parameter_bytes(Formula()) == 12


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
def test_layer_kinds(layer: nn.Module, kind: str | None) -> None:
    assert layer_kinds(layer) == ({kind} if kind else set())
    assert layer_kinds(nn.Sequential(nn.ReLU(), nn.Sequential(layer))) == layer_kinds(layer)


def test_no_layer_kind() -> None:
    assert layer_kinds(nn.Linear(1, 1)) == frozenset()
