"""Our kernel for the end of a block, held to PyTorch's own modules, forwards and backwards."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from kilonet.kernels.block_end import ACTIVATIONS, Draws, block_end, is_possible_for

F32, BF16 = torch.float32, torch.bfloat16
SIDES = st.integers(1, 4)


def norm_of(channels: int, seed: int = 0) -> nn.BatchNorm2d:
    torch.manual_seed(seed)
    norm = nn.BatchNorm2d(channels, momentum=0.3)
    for tensor in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
        assert tensor is not None
        nn.init.uniform_(tensor, 0.5, 1.5)
    return norm


def by_torch(x: Tensor, norm: nn.Module, act: nn.Module, side: int, draws: Draws | None) -> Tensor:
    """The same from PyTorch's modules; batch norm in float32, as it has it under autocast."""
    pooled = nn.functional.max_pool2d(x, side) if side > 1 else x
    y: Tensor = act(norm(pooled))
    if draws is None:
        return y
    images, channels, height, width = y.shape
    flat = draws.words.view(torch.int16)[: y.numel()] >= draws.least
    kept = flat.view(images, height, width, channels).permute(0, 3, 1, 2)
    return torch.where(kept, y * draws.factor, 0.0)


def draws_for(count: int, share: float) -> Draws:
    words = torch.randint(-(2**63), 2**63 - 1, (count // 4 + 1,))
    dropped = round(share * 65536)
    return Draws(words, dropped - 32768, 65536 / (65536 - dropped))


def all_of(end: Any, x: Tensor, norm: nn.BatchNorm2d, *rest: Any) -> dict[str, Tensor]:
    """Return what comes out, what moves, and every gradient for one of the output."""
    norm, x = copy.deepcopy(norm), x.detach().requires_grad_()
    y = end(x, norm, *rest)
    given_back = torch.randn(y.shape, generator=torch.Generator().manual_seed(5)).to(y.dtype)
    y.backward(given_back)
    found = {"y": y.detach(), "x": x.grad, "weight": norm.weight.grad, "bias": norm.bias.grad}
    return {k: v.float() for k, v in (found | dict(norm.named_buffers())).items() if v is not None}


def largest_difference(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> dict[str, float]:
    """Return by name the difference's norm over the tensor's."""
    assert ours.keys() == theirs.keys()
    return {
        name: float((ours[name] - tensor).norm() / (tensor.norm() + 1e-6))
        for name, tensor in theirs.items()
    }


@settings(max_examples=60, deadline=None)
@given(
    images=st.integers(1, 19),
    channels=st.integers(1, 40),
    size=st.tuples(st.integers(4, 11), st.integers(4, 11)),
    side=SIDES,
    act=st.sampled_from(list(ACTIVATIONS)),
    dropout=st.sampled_from([0.0, 0.1, 0.6]),
    seed=st.integers(0, 99),
)
def test_is_what_pytorch_computes(  # noqa: PLR0917
    images: int,
    channels: int,
    size: tuple[int, int],
    side: int,
    act: type[nn.Module],
    dropout: float,
    seed: int,
) -> None:
    norm = norm_of(channels, seed)
    x = (torch.randn(images, channels, *size) * 2 + 1).to(memory_format=torch.channels_last)
    if images * (size[0] // side) * (size[1] // side) < 8:
        return  # a channel of a few numbers, nearly equal, amplifies every rounding
    draws = draws_for(x.numel(), dropout) if dropout else None
    ours = all_of(block_end, x, norm, act(), side, draws)
    theirs = all_of(by_torch, x, norm, act(), side, draws)
    for name, difference in largest_difference(ours, theirs).items():
        assert difference < 1e-4, name


@pytest.mark.parametrize("act", [nn.ReLU(), nn.SiLU()], ids=["relu", "silu"])
@pytest.mark.parametrize("side", [1, 2, 3])
@pytest.mark.parametrize("dropout", [0.0, 0.25])
def test_bfloat16(act: nn.Module, side: int, dropout: float) -> None:
    """Within bfloat16's rounding of float32 arithmetic on the same, rounded, input.

    Equal numbers are frequent there: the first of them gets the gradient, as with PyTorch.
    """
    norm = norm_of(12)
    x = (torch.randn(9, 12, 13, 14) + 1).to(BF16).to(memory_format=torch.channels_last)
    draws = draws_for(x.numel(), dropout) if dropout else None
    ours = all_of(block_end, x, norm, act, side, draws)
    theirs = all_of(by_torch, x, norm, act, side, draws)
    for name, difference in largest_difference(ours, theirs).items():
        assert difference < 1e-2, name


def test_gradient_by_finite_differences() -> None:
    """Independent of PyTorch's own gradients: the slope of a weighted sum of the output."""
    norm, act = norm_of(3), nn.SiLU()
    x = torch.randn(4, 3, 6, 6, generator=torch.Generator().manual_seed(1))
    weights = torch.randn(4, 3, 3, 3, generator=torch.Generator().manual_seed(2))

    def total(at: Tensor) -> Tensor:
        return (block_end(at, copy.deepcopy(norm), act, 2, None).double() * weights).sum()

    found = x.clone().requires_grad_()
    total(found).backward()
    assert found.grad is not None
    for index in [(0, 0, 0, 0), (1, 2, 3, 4), (3, 1, 5, 5), (2, 0, 1, 0)]:
        step = torch.zeros_like(x)
        step[index] = 1e-2
        slope = float((total(x + step) - total(x - step)).detach()) / 2e-2
        assert slope == pytest.approx(float(found.grad[index]), abs=2e-2)


def test_any_layout_is_taken_and_channels_last_given() -> None:
    x = torch.randn(3, 5, 6, 6)
    y = block_end(x, norm_of(5), nn.ReLU(), 1, None)
    same = block_end(x.to(memory_format=torch.channels_last), norm_of(5), nn.ReLU(), 1, None)
    assert torch.equal(y, same)
    assert y.is_contiguous(memory_format=torch.channels_last)
    assert y.dtype == F32


def test_large_means_lose_no_precision() -> None:
    """Sums are taken about the running mean, so a mean of a thousand spreads cancels nothing."""
    x = torch.randn(32, 4, 8, 8) + 1000
    norm = norm_of(4)
    assert norm.running_mean is not None
    norm.running_mean.fill_(999.0)
    ours = all_of(block_end, x, norm, nn.ReLU(), 1, None)
    exact = all_of(by_torch, x.double(), norm.double(), nn.ReLU(), 1, None)
    assert float((ours["y"] - exact["y"]).abs().max()) < 1e-3


def test_says_for_what_it_is_not_possible() -> None:
    x, norm = torch.randn(2, 4, 6, 6), norm_of(4)
    assert is_possible_for(x, norm, nn.ReLU(), 2)
    assert not is_possible_for(x, norm, nn.GELU(), 2)
    assert not is_possible_for(x.double(), norm, nn.ReLU(), 1)
    assert not is_possible_for(x[0], norm, nn.ReLU(), 1)
    assert not is_possible_for(x[:1, :, :1, :1], norm, nn.ReLU(), 1)
    assert not is_possible_for(x, nn.BatchNorm2d(4, affine=False), nn.ReLU(), 1)
    assert not is_possible_for(x, nn.BatchNorm2d(4, track_running_stats=False), nn.ReLU(), 1)
    assert not is_possible_for(x, nn.BatchNorm2d(4, momentum=None), nn.ReLU(), 1)
    assert not is_possible_for(x.to("meta"), norm, nn.ReLU(), 1)
