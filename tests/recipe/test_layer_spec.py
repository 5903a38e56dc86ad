"""The layer spec: each layer, and malformed ones."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilonet.recipe.layer_spec import NUM_CLASSES, LayerSpec, parse_layer, parse_layers


@pytest.mark.parametrize(
    ("text", "layer"),
    [
        ("c16", LayerSpec("conv", 16)),
        ("c20k5s2", LayerSpec("conv", 20, kernel=5, stride=2)),
        ("c16k5s2v", LayerSpec("conv", 16, kernel=5, stride=2, padded=False)),
        ("d24", LayerSpec("separable", 24)),
        ("d24k5v", LayerSpec("separable", 24, kernel=5, padded=False)),
        ("p12", LayerSpec("point", 12, kernel=1)),
        ("r", LayerSpec("residual-separable")),
        ("rk5", LayerSpec("residual-separable", kernel=5)),
        ("R", LayerSpec("residual")),
        ("s", LayerSpec("shared")),
        ("d9s2vl", LayerSpec("separable", 9, stride=2, padded=False, linear=True)),
        ("rk5l", LayerSpec("residual-separable", kernel=5, linear=True)),
        ("c8t", LayerSpec("conv", 8, p4=True)),
        ("d16k5vlt", LayerSpec("separable", 16, kernel=5, padded=False, linear=True, p4=True)),
        ("rlg", LayerSpec("residual-separable", linear=True, p4=True, orientation_channels=True)),
        ("d*", LayerSpec("separable", NUM_CLASSES)),
        ("M", LayerSpec("max", kernel=2)),
        ("A3", LayerSpec("average", kernel=3)),
    ],
)
def test_parse_layer(text: str, layer: LayerSpec) -> None:
    assert parse_layer(text) == layer


@pytest.mark.parametrize(
    "text",
    [
        "",
        "c",
        "c0",
        "c016",
        "c123456",
        "p12k3",
        "r16",
        "rk4",
        "Rk2",
        "sk3",
        "sl",
        "c8l",
        "Rl",
        "d8lv",
        "d8tl",
        "d8tg",
        "Rt",
        "st",
        "p8g",
        "r*",
        "c*8",
        "M1",
        "M10",
        "x3",
        "c8vv",
        "c८",
    ],
)
def test_malformed_layers(text: str) -> None:
    message = f'"{re.escape(text)}" is not a layer; write layers such as c16'
    with pytest.raises(ValueError, match=message):
        parse_layer(text)


def test_layers_are_separated_by_spaces() -> None:
    chain = parse_layers(" c8  M\tr ")
    assert [layer.kind for layer in chain] == ["conv", "max", "residual-separable"]
    with pytest.raises(ValueError, match='"" is not a layer'):
        parse_layers("  ")


@given(st.text(alphabet="cdprRMAksvltg*0123456789", max_size=8))
def test_a_layer_is_of_one_kind_or_rejected(text: str) -> None:
    try:
        layer = parse_layer(text)
    except ValueError:
        return
    assert layer.is_convolution + layer.is_residual + layer.is_pooling == 1
    assert layer.kernel >= 1 and layer.stride >= 1
    assert (layer.channels != 0) == layer.is_convolution
    assert layer.p4 or not layer.orientation_channels


@pytest.mark.parametrize("chain", ["r s", "c8 r s M s s", "c8 r M d8 s R s", "c6 d8 R p8 s"])
def test_shared_blocks_have_the_same_channels(chain: str) -> None:
    parse_layers(chain)


@pytest.mark.parametrize(
    "chain", ["s", "c8 s", "c8 M s r", "c8 r d9 s", "r c8 s", "c8 r d9 r d8 s"]
)
def test_shared_without_such_a_block_is_rejected(chain: str) -> None:
    with pytest.raises(ValueError, match=r'"s" repeats the last residual block.*write r first'):
        parse_layers(chain)


def test_layers_after_the_first_are_regular() -> None:
    first, second, _, last = parse_layers("c8g d12g M rg")
    assert (first.regular, second.regular, last.regular) == (False, True, True)
    assert not parse_layers("c8 d12t")[1].regular


@pytest.mark.parametrize(
    ("chain", "into", "out"),
    [
        ("c6g", 0, "6"),
        ("c6 d8g", 6, "8"),
        ("c8 d10g", 8, "10"),
        ("c8 d*g", 8, "as many as classes"),
    ],
)
def test_channels_that_are_not_a_multiple_of_four_are_rejected(
    chain: str, into: int, out: str
) -> None:
    message = rf" {into} input channels and {out} output channels\. .*or t instead of g"
    with pytest.raises(ValueError, match=message):
        parse_layers(chain)


def test_as_many_channels_as_classes() -> None:
    (layer,) = parse_layers("d*l")
    assert layer.for_classes(7) == LayerSpec("separable", 7, linear=True)
    assert LayerSpec("conv", 8).for_classes(7) == LayerSpec("conv", 8)
