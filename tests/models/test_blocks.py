"""The pieces of networks: what is in them, what they keep, what they add."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from kilonet.models.blocks import (
    ConvBlock,
    LearnedScale,
    P4Conv2d,
    Residual,
    Separable,
    ShiftNorm2d,
    activation,
    with_standard_modules,
)
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


def rotated(x: torch.Tensor, times: int = 1) -> torch.Tensor:
    return torch.rot90(x, times, (2, 3))


def test_p4_convolution_stores_one_of_every_four_filters() -> None:
    conv = P4Conv2d(3, 6, 3)
    assert conv.weight.shape == (2, 3, 3, 3)
    for channel, one in enumerate(conv.filters()):
        stored = conv.weight[channel // 4]
        assert torch.equal(one, torch.rot90(stored, channel % 4, (1, 2)))
    x = torch.randn(2, 3, 8, 8)
    assert torch.equal(conv(x), F.conv2d(x, conv.filters(), conv.bias))


def test_regular_filters_shift_within_each_four() -> None:
    conv = P4Conv2d(8, 4, 1, bias=False, regular=True)
    assert conv.weight.shape == (1, 8, 1, 1)
    stored = conv.weight.flatten().tolist()
    expected = [
        [stored[4 * four + (place - times) % 4] for four in range(2) for place in range(4)]
        for times in range(4)
    ]
    assert conv.filters().flatten(1).tolist() == expected


def test_a_gradient_reaches_the_stored_filters_from_all_four() -> None:
    conv = P4Conv2d(1, 4, 3, bias=False)
    conv.filters()[1].sum().backward()
    conv.filters()[3, 0, 0, 1].backward()
    moved = torch.autograd.grad(torch.rot90(conv.weight[0, 0], 3)[0, 1], conv.weight)[0]
    assert torch.equal(conv.weight.grad, torch.ones(1, 1, 3, 3) + moved)


def test_turning_the_image_turns_what_comes_out_and_moves_channels_on() -> None:
    """The group p4: fresh batch norms in evaluation treat the channels of a four alike."""
    style = {"p4": True, "orientation_channels": True, "norm_scale": 3.0, "nonlinearity": "silu"}
    chain = nn.Sequential(
        ConvBlock((1, 8), pool=nn.MaxPool2d(2), **style),
        Separable((8, 12), regular=True, **style),
        Residual(Separable((12, 12), regular=True, linear_depthwise=True, **style)),
        ConvBlock((12, 4), regular=True, **style),
    ).eval()
    for norm in (module for module in chain.modules() if isinstance(module, ShiftNorm2d)):
        nn.init.normal_(norm.bias)
    x = torch.randn(2, 1, 12, 12)
    expected = rotated(chain(x)).unflatten(1, (-1, 4)).roll(1, dims=2).flatten(1, 2)
    torch.testing.assert_close(chain(rotated(x)), expected)
    assert not torch.allclose(expected, chain(x), atol=1e-2)


@pytest.mark.parametrize("orientation_channels", [False, True])
def test_shift_norm_is_batch_norm_of_a_fixed_scale(orientation_channels: bool) -> None:
    ours, plain = ShiftNorm2d(6, 3.0, orientation_channels=orientation_channels), nn.BatchNorm2d(6)
    nn.init.normal_(ours.bias)
    plain.weight.data.fill_(3.0)
    plain.bias.data.copy_(ours.shift())
    assert [name for name, _ in ours.named_parameters()] == ["bias"]
    assert len(ours.bias) == (2 if orientation_channels else 6)
    x = torch.randn(8, 6, 5, 5) + 1
    torch.testing.assert_close(ours(x), plain(x))
    assert ours.state_dict().keys() == plain.state_dict().keys() - {"weight"}
    torch.testing.assert_close(ours.eval()(x), plain.eval()(x))
    assert torch.equal(ours.running_var, plain.running_var)


def test_shift_norm_relu_and_dropout_in_one() -> None:
    style = {"p4": True, "orientation_channels": True, "norm_scale": 2.0}
    block = ConvBlock((1, 8), dropout=0.2, **style).to(memory_format=torch.channels_last)
    nn.init.normal_(block.norm.bias)
    apart = copy.deepcopy(block)
    x = torch.randn(4, 1, 8, 8)
    torch.manual_seed(1)
    joined = block(x)
    torch.manual_seed(1)
    expected = apart.drop(apart.act(apart.norm(apart.conv(x))))
    torch.testing.assert_close(joined, expected)


def test_plain_modules_compute_the_same() -> None:
    style = {"p4": True, "orientation_channels": True, "norm_scale": 3.0}
    model = nn.Sequential(ConvBlock((1, 8), **style), Separable((8, 8), regular=True, **style))
    x = torch.randn(3, 1, 9, 9)
    model(x)
    plain = with_standard_modules(copy.deepcopy(model.eval()))
    assert {type(m) for m in plain.modules()}.isdisjoint({P4Conv2d, ShiftNorm2d})
    torch.testing.assert_close(plain(x), model(x))


def test_scaled() -> None:
    module = LearnedScale(20.0)
    assert torch.equal(module(torch.ones(2, 3)), torch.full((2, 3), 20.0))
    assert sum(p.numel() for p in module.parameters()) == 1
