"""The pieces of networks: what is in them, what they keep, what they add."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from kilonet.models.blocks import ConvBlock, Residual, Separable, activation
from kilonet.models.dropout import Dropout


def kinds(module: nn.Module) -> list[str]:
    return [type(child).__name__ for child in module.children()]


def test_conv_block() -> None:
    assert kinds(ConvBlock((1, 4))) == ["Conv2d", "BatchNorm2d", "ReLU"]
    assert kinds(ConvBlock((1, 4), dropout=0.1)) == ["Conv2d", "BatchNorm2d", "ReLU", "Dropout"]
    assert kinds(ConvBlock((1, 4), batch_norm=False, nonlinearity="silu")) == ["Conv2d", "SiLU"]


@pytest.mark.parametrize(("kernel", "stride", "side"), [(1, 1, 9), (3, 1, 9), (5, 2, 5), (7, 1, 9)])
def test_conv_block_pads(kernel: int, stride: int, side: int) -> None:
    block = ConvBlock((2, 3), kernel, stride)
    assert block(torch.zeros(2, 2, 9, 9)).shape == (2, 3, side, side)


@pytest.mark.parametrize("bias", [False, True])
def test_conv_block_parameters(bias: bool) -> None:
    count = sum(p.numel() for p in ConvBlock((5, 6), bias=bias).parameters())
    assert count == 5 * 6 * 9 + 6 * bias + 2 * 6


def test_separable_is_two_convolutions() -> None:
    block = Separable((4, 6)).eval()
    assert sum(p.numel() for p in block.parameters()) == 4 * 9 + 2 * 4 + 4 * 6 + 2 * 6
    x = torch.randn(2, 4, 7, 7)
    depth, point = block.depth.conv.weight, block.point.conv.weight
    scale = (1 + 1e-5) ** -0.5  # a fresh batch norm in evaluation
    y = F.relu(F.conv2d(x, depth, padding=1, groups=4) * scale)
    torch.testing.assert_close(block(x), F.relu(F.conv2d(y, point) * scale))


def test_residual_adds_its_input() -> None:
    x = torch.randn(2, 3, 4, 4)
    torch.testing.assert_close(Residual(nn.ReLU())(x), x + F.relu(x))
    dropped = Residual(nn.Identity(), dropout=0.5).train()
    assert isinstance(dropped.drop, Dropout)
    torch.manual_seed(0)
    branch = dropped(x) - x
    share = torch.isclose(branch, torch.zeros(())).float().mean().item()
    assert 0.2 < share < 0.8  # only the branch is dropped, never the input
    torch.testing.assert_close(dropped.eval()(x), 2 * x)


def test_activation() -> None:
    x = torch.linspace(-3, 3, 7)
    assert torch.equal(activation("relu")(x), x.clamp_min(0))
    torch.testing.assert_close(activation("silu")(x), x / (1 + torch.exp(-x)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_batch_norm_relu_and_dropout_in_one_are_what_they_are_in_turn(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    block = ConvBlock((3, 6), dropout=0.2).to(memory_format=torch.channels_last)
    with torch.no_grad():
        block.norm.weight.uniform_(-1, 1)
        block.norm.bias.uniform_(-1, 1)
    x = torch.randn(8, 3, 10, 10).to(memory_format=torch.channels_last)
    results = []
    for in_one in (True, False):
        trained = copy.deepcopy(block)
        if not in_one:
            trained.act = nn.Threshold(0, 0)  # ReLU by another name is not recognised
        with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            torch.manual_seed(1)
            y = trained(x)
        y.float().square().sum().backward()
        gradients = [parameter.grad for parameter in trained.parameters()]
        results.append([y.float(), *gradients, *trained.norm.buffers()])
    rounding = 2e-2 if dtype == torch.bfloat16 else 1e-5
    for ours, theirs in zip(*results, strict=True):
        assert torch.allclose(
            ours, theirs, rtol=rounding, atol=rounding * theirs.abs().max().item()
        )
    assert 0.1 < (results[0][0] == 0).float().mean() < 0.8


def test_nothing_is_joined_in_evaluation() -> None:
    block = ConvBlock((3, 6), dropout=0.5).eval()
    x = torch.randn(2, 3, 5, 5)
    assert torch.equal(block(x), block.act(block.norm(block.conv(x))))
