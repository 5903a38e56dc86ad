"""Our kernels for a chain of blocks, held to PyTorch's own modules, forwards and backwards."""

from __future__ import annotations

import copy
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from kilonet.kernels import library
from kilonet.kernels.chain import (
    ACTIVATIONS,
    ChainStep,
    ConvUnit,
    DropoutMask,
    FusedChain,
    MaxPooling,
    ResidualAdd,
    lanes,
)
from kilonet.kernels.library import load
from kilonet.models.blocks import P4Conv2d

pytestmark = pytest.mark.compiler

RELU, SILU, NONE = (ACTIVATIONS[kind] for kind in (nn.ReLU, nn.SiLU, nn.Identity))
FUNCTIONS = {code: kind() for kind, code in ACTIVATIONS.items()}


class Fixed:
    """The same draws every time, and what they should be."""

    def __init__(self, share: float) -> None:
        self.levels = round(share * 65536)

    def __call__(self) -> DropoutMask:
        threshold = (self.levels - 32768) * 65536
        return DropoutMask(
            0x0123456789ABCDEF + self.levels, threshold, 65536 / (65536 - self.levels)
        )

    def factors(self, shape: torch.Size) -> Tensor:
        """What each number of an N×C×H×W tensor is multiplied by: 0, or the factor.

        A number's place is that in an array (block, channel, row, column, image of the block).
        """
        count, *rest = shape
        size, mask = lanes(), self()
        blocks = -(-count // size)
        x = np.arange(blocks * size * shape[1:].numel(), dtype=np.uint32)
        x ^= np.uint32(mask.key & 0xFFFFFFFF)
        x ^= x >> np.uint32(16)
        x *= np.uint32(0x7FEB352D)
        x += np.uint32(mask.key >> 32)
        x ^= x >> np.uint32(15)
        x *= np.uint32(0x846CA68B)
        x ^= x >> np.uint32(16)
        kept = torch.from_numpy(x.view(np.int32) >= mask.threshold)
        by_image = kept.view(blocks, *rest, size).movedim(-1, 1).reshape(-1, *rest)[:count]
        return by_image * mask.scale


def by_torch(layers: list[ChainStep], x: Tensor) -> Tensor:
    """The value of the last layer, each of them by PyTorch's modules."""
    values = [x]
    for layer in layers:
        value = values[layer.source]
        if isinstance(layer, ResidualAdd):
            value = value + values[layer.other]
        else:
            value = layer.conv(value) if isinstance(layer, ConvUnit) else value
            value = nn.functional.max_pool2d(value, layer.side) if layer.side > 1 else value
        if isinstance(layer, ConvUnit):
            value = layer.norm(value) if layer.norm else value
            value = FUNCTIONS[layer.activation](value)
            if layer.dropout is not None:
                assert isinstance(layer.dropout, Fixed)
                value = value * layer.dropout.factors(value.shape)
        values.append(value)
    return values[-1]


def norm_of(channels: int) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(channels, momentum=0.3)
    for tensor in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
        assert tensor is not None
        nn.init.uniform_(tensor, 0.5, 1.5)
    return norm


def unit(
    source: int,
    channels: tuple[int, int],
    kernel: int = 3,
    activation: int = RELU,
    side: int = 1,
    dropout: float = 0.0,
    *,
    padding: int | None = None,
    stride: int = 1,
    bias: bool = False,
    norm: bool = True,
    depthwise: bool = False,
) -> ConvUnit:
    padding = kernel // 2 if padding is None else padding
    groups = channels[0] if depthwise else 1
    conv = nn.Conv2d(*channels, kernel, stride, padding, groups=groups, bias=bias)
    mask = Fixed(dropout) if dropout else None
    return ConvUnit(source, conv, side, norm_of(channels[1]) if norm else None, activation, mask)


def modules(layers: list[ChainStep]) -> nn.ModuleList:
    units = [layer for layer in layers if isinstance(layer, ConvUnit)]
    return nn.ModuleList(m for one in units for m in (one.conv, one.norm) if m is not None)


def all_of(layers: list[ChainStep], x: Tensor, *, ours: bool) -> dict[str, Tensor]:
    """Return what comes out, what moves, and every gradient for one of the output."""
    layers = copy.deepcopy(layers)
    shape = (x.shape[1], x.shape[2], x.shape[3])
    y = FusedChain(layers, shape)(x) if ours else by_torch(layers, x)
    y.backward(torch.randn(y.shape, generator=torch.Generator().manual_seed(5)))
    owner = modules(layers)
    gradients = {name: p.grad for name, p in owner.named_parameters() if p.grad is not None}
    assert len(gradients) == len(list(owner.parameters()))
    return {"y": y.detach(), **gradients, **{k: v.float() for k, v in owner.named_buffers()}}


def assert_equal(layers: list[ChainStep], x: Tensor) -> None:
    """Equal to rounding: each tensor's difference by its norm, or by the gradients' where it is 0.

    Ahead of batch norm, a bias has a gradient of 0, for which PyTorch has rounding errors, and the
    gradient of a filter and its rounding errors grow as the filter shrinks. A number that is zero
    but for rounding may pass ReLU here and not there, which is what most of the tolerance is for.
    """
    ours, theirs = (all_of(layers, x, ours=ours) for ours in (True, False))
    assert ours.keys() == theirs.keys()
    typical = max(float(tensor.norm()) for tensor in theirs.values())
    before_norm = {
        f"{n}": conv
        for n, (conv, norm) in enumerate(pairwise(modules(layers)))
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
    }
    for name, tensor in theirs.items():
        number, _, kind = name.partition(".")
        smallest = 1.0
        if number in before_norm and kind == "bias":
            assert not ours[name].any(), name
            continue
        if number in before_norm:
            smallest = min(
                1.0, float(before_norm[number].weight.detach().flatten(1).norm(dim=1).min())
            )
        difference = float((ours[name] - tensor).norm())
        assert difference < 1e-3 * float(tensor.norm()) + 1e-6 * typical / smallest, name


def images(count: int, channels: int = 1, height: int = 9, width: int = 11) -> Tensor:
    generator = torch.Generator().manual_seed(count)
    return torch.randn(count, channels, height, width, generator=generator) + 0.5


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(2, 35),
    channels=st.tuples(*(st.integers(1, 13),) * 3),
    size=st.tuples(st.integers(5, 17), st.integers(5, 17)),
    kernel=st.sampled_from([1, 2, 3, 4, 5, 7]),
    stride=st.integers(1, 3),
    padded=st.booleans(),
    activation=st.sampled_from([RELU, SILU, NONE]),
    dropout=st.sampled_from([0.0, 0.1, 0.6]),
    side=st.integers(1, 3),
    bias=st.booleans(),
    norm=st.booleans(),
    start=st.integers(0, 99),
)
def test_two_units_are_what_pytorch_computes(  # noqa: PLR0917
    count: int,
    channels: tuple[int, int, int],
    size: tuple[int, int],
    kernel: int,
    stride: int,
    padded: bool,
    activation: int,
    dropout: float,
    side: int,
    bias: bool,
    norm: bool,
    start: int,
) -> None:
    """The first with a stride, the second with any kernel, pooling and end."""
    torch.manual_seed(start)
    one, two, three = channels
    padding = kernel // 2 if padded else 0
    left = [(length + 1) // stride + 2 * padding - kernel for length in size]
    if min(left) < 2 * side:
        return
    second = unit(
        1, (two, three), kernel, activation, side, dropout, padding=padding, bias=bias, norm=norm
    )
    layers: list[ChainStep] = [unit(0, (one, two), 2, activation, stride=stride, padding=1), second]
    assert_equal(layers, images(count, one, *size))


def test_a_variance_near_epsilon() -> None:
    """The running mean is 100 standard deviations from the batch's, as before the first step."""
    torch.manual_seed(0)
    second = unit(1, (1, 1), 1, RELU, 1, 0.0, bias=False, norm=True)
    with torch.no_grad():
        second.conv.weight.fill_(-0.0075)
    layers: list[ChainStep] = [unit(0, (1, 1), 2, RELU, stride=2, padding=1), second]
    assert_equal(layers, images(2, 1, 5, 5))


@settings(max_examples=40, deadline=None)
@given(
    spread=st.floats(-6, 4),
    batch_mean=st.floats(-3, 6),
    running_mean=st.floats(-3, 6),
    signs=st.tuples(*(st.sampled_from([-1, 0, 1]),) * 2),
    count=st.integers(2, 35),
    epsilon=st.sampled_from([1e-5, 1e-12]),
    bias=st.booleans(),
)
def test_batch_norm_keeps_its_precision_for_any_mean_and_variance(  # noqa: PLR0917
    spread: float,
    batch_mean: float,
    running_mean: float,
    signs: tuple[int, int],
    count: int,
    epsilon: float,
    bias: bool,
) -> None:
    """Exponents of ten. Inputs of float32 carry an error of the mean by the standard deviation."""
    torch.manual_seed(0)
    one = unit(0, (1, 1), 1, SILU, bias=bias)
    assert one.norm is not None and one.norm.running_mean is not None
    one.norm.eps = epsilon
    with torch.no_grad():
        one.conv.weight.fill_(1.0)
        one.norm.running_mean.fill_(signs[1] * 10**running_mean)
        x = images(count) * 10**spread + signs[0] * 10**batch_mean
    ours = all_of([one], x, ours=True)
    exact = copy.deepcopy(one)
    modules([exact]).double()
    theirs = all_of([exact], x.double(), ours=False)
    noise = float((x.double().mean().square() / (x.double().var() + epsilon)).sqrt())
    terms = {"1.weight": x.numel() ** 0.5, "1.bias": x.numel() ** 0.5}  # of sums of both signs
    for name in ("y", *terms, "1.running_mean", "1.running_var"):
        difference = float((ours[name] - theirs[name]).norm())
        size = max(float(theirs[name].norm()), terms.get(name, 0))
        assert difference < (1e-5 + 1e-6 * noise) * size, name


def residual_blocks(activation: int, dropout: float, kernel: int) -> list[ChainStep]:
    """A value that three take, sums of sums, pooling of what is there and of what is not."""
    torch.manual_seed(3)
    return [
        unit(0, (1, 6), 3, activation, side=2),
        unit(1, (6, 6), kernel, activation, depthwise=True),
        unit(2, (6, 6), 1, activation, dropout=dropout),
        ResidualAdd(1, 3),
        unit(4, (6, 6), kernel, activation, depthwise=True),
        unit(5, (6, 6), 1, activation, dropout=dropout),
        ResidualAdd(4, 6),
        MaxPooling(7, 2),
        unit(8, (6, 9), 1, activation),
        MaxPooling(9, 2),
        unit(10, (9, 4), 3, activation, dropout=dropout),
    ]


@pytest.mark.parametrize("activation", [RELU, SILU], ids=["relu", "silu"])
@pytest.mark.parametrize("dropout", [0.0, 0.25])
@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("count", [16, 37])
def test_residual_separable_blocks(
    activation: int, dropout: float, kernel: int, count: int
) -> None:
    assert_equal(residual_blocks(activation, dropout, kernel), images(count, 1, 21, 18))


def full_blocks() -> list[ChainStep]:
    """Channels are so many that convolutions go by tiles where heights and widths are even."""
    torch.manual_seed(9)
    return [
        unit(0, (2, 9), 3, SILU),
        unit(1, (9, 16), 3, SILU, dropout=0.2),
        unit(2, (16, 16), 3, SILU),
        ResidualAdd(2, 3),
        unit(4, (16, 12), 3, SILU, side=2),
    ]


@pytest.mark.parametrize("size", [(28, 28), (12, 20), (4, 6), (10, 8), (9, 12)])
def test_full_convolutions_by_tiles(size: tuple[int, int]) -> None:
    assert_equal(full_blocks(), images(19, 2, *size))


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="flags of x86-64")
@pytest.mark.parametrize(
    ("flags", "width"), [((), 4), (("-mavx2", "-mfma"), 8)], ids=["128 bits", "256 bits"]
)
def test_narrower_vectors(
    flags: tuple[str, ...], width: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if "-mavx2" in flags and "avx2" not in Path("/proc/cpuinfo").read_text(encoding="utf-8"):
        pytest.skip("this processor has none")
    monkeypatch.setattr(library, "_OPTIONAL_FLAGS", (flags,))
    monkeypatch.setattr(library, "kernel_cache", lambda: tmp_path)
    load.cache_clear()
    try:
        assert lanes() == width
        assert_equal(residual_blocks(SILU, 0.25, 3), images(21, 1, 21, 18))
        assert_equal(full_blocks(), images(21, 2, 28, 28))
    finally:
        load.cache_clear()


def by_orientation(source: int, channels: tuple[int, int], **named: Any) -> ConvUnit:
    """A pointwise unit of the group p4."""
    conv = P4Conv2d(*channels, 1, bias=False, regular=True)
    plain = unit(source, channels, 1, **named)
    return replace(plain, conv=conv, filters=conv.index, p4=True)


@pytest.mark.parametrize("size", [(12, 12), (5, 9)])
@pytest.mark.parametrize("dropout", [0.0, 0.25])
def test_pointwise_convolutions_by_fours(size: tuple[int, int], dropout: float) -> None:
    """Of what is stored with margins and what is not, pooling, and after a plain depthwise one."""
    torch.manual_seed(12)
    layers: list[ChainStep] = [
        unit(0, (1, 12), 3, SILU),
        by_orientation(1, (12, 20), activation=SILU, dropout=dropout),
        unit(2, (20, 20), 3, NONE, depthwise=True, norm=False),
        by_orientation(3, (20, 20), activation=SILU),
        ResidualAdd(2, 4),
        unit(5, (20, 20), 3, NONE, depthwise=True, norm=False),
        by_orientation(6, (20, 20), activation=RELU),
        ResidualAdd(5, 7),
        by_orientation(8, (20, 36), side=2),
        by_orientation(9, (36, 4), activation=SILU, norm=False),
    ]
    assert_equal(layers, images(21, 1, *size))


@pytest.mark.parametrize("kernel", [1, 2, 3, 5])
@pytest.mark.parametrize("side", [1, 2])
def test_linear_depthwise_units_of_stored_values(kernel: int, side: int) -> None:
    """One reader: its value is computed twice instead of stored. Two readers: it is stored."""
    torch.manual_seed(15)
    plain: dict[str, Any] = {"activation": NONE, "norm": False, "depthwise": True}
    layers: list[ChainStep] = [
        unit(0, (2, 2), kernel, **plain),
        unit(1, (2, 6), 1, SILU),
        MaxPooling(2, 2),
        unit(3, (6, 6), kernel, **plain),
        unit(4, (6, 5), 1, SILU, side, dropout=0.2),
        unit(5, (5, 5), 3, **plain),
        unit(6, (5, 5), 1, SILU),
        unit(6, (5, 5), 1, SILU),
        ResidualAdd(7, 8),
        unit(9, (5, 5), kernel, **plain),
        unit(10, (5, 3), 1, NONE, norm=False, bias=True),
    ]
    with threads(3):
        assert_equal(layers, images(37, 2, 14, 19))


def test_a_plain_unit_ends_a_sum() -> None:
    """Its value is its numbers, and its gradient another's too."""
    torch.manual_seed(13)
    first = unit(0, (2, 5), 3, SILU)
    plain = unit(1, (5, 5), 1, NONE, norm=False)
    biased = unit(3, (5, 5), 1, NONE, norm=False, bias=True)
    assert_equal([first, plain, ResidualAdd(1, 2), biased, ResidualAdd(3, 4)], images(19, 2))


def test_alike_units_without_batch_norm() -> None:
    """They work in the same memory, and blocks of images pass all of them at a time."""
    torch.manual_seed(14)
    alike: list[ChainStep] = [
        unit(n, (6, 6), 3, SILU, norm=False, bias=True, dropout=0.1) for n in (1, 2, 3)
    ]
    ends: list[ChainStep] = [
        ResidualAdd(3, 4),
        MaxPooling(5, 2),
        unit(6, (6, 3), 1, NONE, norm=False, bias=True),
    ]
    assert_equal([unit(0, (1, 6), 3, RELU, norm=False), *alike, *ends], images(37, 1, 12, 10))


def test_many_channels() -> None:
    """All sizes of tiles, and more rows than one of them has."""
    torch.manual_seed(4)
    wide: list[ChainStep] = [unit(0, (3, 39), 3, SILU), unit(1, (39, 30), 1), unit(2, (30, 33), 3)]
    assert_equal([*wide, unit(3, (33, 33), 3, SILU, depthwise=True)], images(18, 3, 29, 15))


def test_gradient_by_finite_differences() -> None:
    """Independent of PyTorch's own gradients: the slope of a weighted sum of the output."""
    torch.manual_seed(1)
    layers: list[ChainStep] = [
        unit(0, (1, 3), 3, SILU),
        unit(1, (3, 3), 3, SILU, depthwise=True),
        unit(2, (3, 3), 1, SILU),
        ResidualAdd(1, 3),
    ]
    x, weights = images(5), torch.randn(5, 3, 9, 11)

    def total() -> Tensor:
        return (FusedChain(copy.deepcopy(layers), (1, 9, 11))(x).double() * weights).sum()

    chain = FusedChain(layers, (1, 9, 11))
    (chain(x) * weights).sum().backward()
    for parameter in modules(layers).parameters():
        assert parameter.grad is not None
        flat, slopes = parameter.data.view(-1), parameter.grad.view(-1)
        for index in {0, len(flat) // 2, len(flat) - 1}:
            before = float(flat[index])
            flat[index] = before + 1e-2
            higher = total()
            flat[index] = before - 1e-2
            slope = float((higher - total()).detach()) / 2e-2
            flat[index] = before
            assert slope == pytest.approx(float(slopes[index]), abs=0.05, rel=0.02)


def test_large_means_lose_no_precision() -> None:
    """Sums are taken about the running mean, so a mean of a thousand spreads cancels nothing."""
    first = unit(0, (1, 2), 1)
    assert first.norm is not None
    assert first.norm.running_mean is not None
    with torch.no_grad():
        first.conv.weight.fill_(1.0)
    first.norm.running_mean.fill_(999.0)
    x = torch.randn(32, 1, 8, 8) + 1000
    exact = copy.deepcopy(first)
    assert exact.norm is not None
    expected = torch.relu(exact.norm.double()(exact.conv.double()(x.double())))
    assert float((FusedChain([first], (1, 8, 8))(x) - expected).detach().abs().max()) < 1e-3


def test_of_equal_numbers_the_first_gets_the_gradient() -> None:
    torch.manual_seed(8)
    layers: list[ChainStep] = [
        unit(0, (1, 2), 1, side=3, norm=False),
        unit(1, (2, 2)),
        MaxPooling(2, 2),
    ]
    assert_equal(layers, torch.randint(2, (17, 1, 9, 9)).float())


@contextmanager
def threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("count", [3, 16, 100])
def test_threads_change_nothing_but_roundings(count: int) -> None:
    torch.manual_seed(2)
    layers: list[ChainStep] = [unit(0, (1, 5), 3, SILU, 2), unit(1, (5, 7), 3), unit(2, (7, 8), 1)]
    alone = all_of(layers, images(count), ours=True)
    with threads(3):
        together, again = (all_of(layers, images(count), ours=True) for _ in range(2))
    for name, tensor in alone.items():
        torch.testing.assert_close(together[name], tensor, atol=1e-4, rtol=1e-4)
        assert torch.equal(together[name], again[name])


def test_batches_of_any_size_one_after_another_and_nested() -> None:
    """What is kept between batches is zeros where zeros have to be, and nobody else's."""
    torch.manual_seed(6)
    layers: list[ChainStep] = [
        unit(0, (1, 4), 3, SILU),
        unit(1, (4, 4), 5, side=2),
        unit(2, (4, 3)),
    ]
    fresh = {count: all_of(layers, images(count), ours=True)["y"] for count in (37, 16, 5)}
    layers = copy.deepcopy(layers)
    chain = FusedChain(layers, (1, 9, 11))
    for count in (37, 16, 37, 5, 37, 5):
        inner = chain(images(count))
        y = chain(images(count))
        torch.testing.assert_close(y, fresh[count], atol=1e-5, rtol=1e-5)
        y.sum().backward()
        inner.sum().backward()


def test_a_result_that_is_not_gone_back_from_is_forgotten() -> None:
    chain = FusedChain([unit(0, (1, 4))], (1, 9, 11))
    first = chain(images(4)).detach().clone()
    torch.testing.assert_close(chain(images(4)), first)


def test_any_layout_is_taken() -> None:
    torch.manual_seed(7)
    layers: list[ChainStep] = [unit(0, (3, 4)), unit(1, (4, 6), 3)]
    other = copy.deepcopy(layers)
    modules(other).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    x = images(9, 3)
    ours = all_of(layers, x, ours=True)
    theirs = all_of(other, x.to(memory_format=torch.channels_last), ours=True)
    assert all(torch.equal(theirs[name], tensor) for name, tensor in ours.items())
