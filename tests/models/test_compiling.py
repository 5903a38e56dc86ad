"""Fusion of blocks for the compiled kernels; networks compute the same with and without them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import nn

from kilonet.kernels.chain import FusedChain
from kilonet.models.base import Network
from kilonet.models.blocks import ConvBlock, Residual, Separable
from kilonet.models.compiling import can_train, fuse
from kilonet.models.conv_stack import ConvStack
from kilonet.models.dropout import Dropout
from kilonet.models.fixed import SimpleMNISTNet, TwoConv

SHAPE = (1, 28, 28)
CHAINS = [
    ("c4k5s2v c6 M p5", {}),
    ("c16 c16 M p12 c28 M", {"dropout": 0.1}),
    ("c4 M d6 r r M d9 R", {"activation": "silu", "pool_first": True}),
    ("c4 M3 d6k5 rk5", {"bias": True, "batch_norm": False, "dropout": 0.2}),
    ("c4 M d6 r s M s R s", {"activation": "silu"}),
    ("c4 d6l M rl s d5l M", {"dropout": 0.1, "pool_first": True}),
    ("c4g M d8lg rg M d*t", {"head": "maps", "norm_scale": 3.0, "activation": "silu"}),
    ("c8t d8g c12g M R", {"dropout": 0.1, "norm_scale": 2.0}),
]


def step(network: Network, images: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Return the logits, and what a step leaves: gradients and running statistics."""
    torch.manual_seed(1)
    logits = network(images)
    logits.square().sum().backward()
    left = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
    return logits.detach(), left | {name: b.float() for name, b in network.named_buffers()}


@pytest.mark.compiler
@pytest.mark.parametrize(
    "create",
    [
        *(partial(ConvStack, layers, **style) for layers, style in CHAINS[::2]),
        partial(SimpleMNISTNet, dropout=0.0),
    ],
    ids=["strided", "silu", "shared", "p4", "simple"],
)
def test_networks_compute_the_same(create: Callable[[], Network]) -> None:
    torch.manual_seed(1)
    network = create()
    ours, images = copy.deepcopy(network), torch.randn(20, *SHAPE)
    assert ours.compile_blocks()
    (logits, left), (expected, should) = step(ours, images), step(network, images)
    torch.testing.assert_close(logits, expected, atol=1e-4, rtol=1e-4)
    assert left.keys() == should.keys()
    for name, tensor in should.items():
        # A number that is zero but for rounding passes ReLU here and not there, one in a few tries.
        difference = float((left[name] - tensor).norm())
        assert difference < 0.02 * float(tensor.norm()) + 1e-4, name


@pytest.mark.compiler
@pytest.mark.parametrize(("layers", "style"), CHAINS)
def test_chains_are_known(layers: str, style: dict[str, object]) -> None:
    network = ConvStack(layers, **style)  # type: ignore[arg-type]
    assert network.compile_blocks()
    logits, left = step(network, torch.randn(5, *SHAPE))
    assert logits.isfinite().all()
    assert all(tensor.isfinite().all() for tensor in left.values())


@pytest.mark.compiler
@pytest.mark.parametrize(("layers", "style"), CHAINS)
def test_evaluation_is_the_same(layers: str, style: dict[str, object]) -> None:
    """By the running statistics, which stay as they are, without dropout, or drawing for it."""
    network = ConvStack(layers, **style)  # type: ignore[arg-type]
    network(torch.randn(50, *SHAPE))  # moves the running statistics
    ours, images = copy.deepcopy(network).eval(), torch.randn(301, *SHAPE)
    assert ours.compile_blocks(evaluation=True)
    before, drawn = copy.deepcopy(ours.state_dict()), torch.get_rng_state()
    with torch.no_grad():
        expected = network.eval()(images)
        logits, again = ours(images), ours(images[:7])
    torch.testing.assert_close(logits, expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(again, logits[:7], atol=1e-5, rtol=1e-5)
    assert all(torch.equal(before[name], value) for name, value in ours.state_dict().items())
    assert torch.equal(torch.get_rng_state(), drawn)


@pytest.mark.compiler
def test_evaluation_by_our_kernels_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    evaluated = FusedChain.evaluate
    monkeypatch.setattr(
        FusedChain, "evaluate", lambda t, x: (seen.append(len(x)), evaluated(t, x))[1]
    )
    images = torch.randn(3, *SHAPE)
    for evaluation in (False, True):
        network = ConvStack("c4 M").eval()
        assert network.compile_blocks(evaluation=evaluation)
        network(images)  # a gradient may be wanted
        with torch.no_grad():
            network(images)
        assert seen == [3] * evaluation


@pytest.mark.compiler
def test_dropout_drops_as_much_as_it_should_and_anew_each_time() -> None:
    block = ConvBlock((1, 8), batch_norm=False, dropout=0.3)
    chain = fuse([block], SHAPE)
    assert chain is not None
    with torch.no_grad():
        block.conv.weight.zero_()  # type: ignore[union-attr]
        block.conv.weight[:, :, 1, 1] = 1.0  # type: ignore[index, union-attr]
    x = torch.ones(64, *SHAPE)
    first, second = chain(x).detach(), chain(x).detach()
    kept = (first > 0).float()
    assert float(kept.mean()) == pytest.approx(0.7, abs=0.005)
    assert float(first.max()) == pytest.approx(1 / 0.7, rel=1e-3)
    together = float((kept * (second > 0)).mean())
    assert together == pytest.approx(0.49, abs=0.005)  # independent of the first
    for shifted in (kept[1:] * kept[:-1], kept[..., 1:] * kept[..., :-1]):
        assert float(shifted.mean()) == pytest.approx(0.49, abs=0.01)


@pytest.mark.parametrize(
    "block",
    [
        nn.AvgPool2d(2),
        nn.MaxPool2d(2, stride=1),
        nn.MaxPool2d(16),
        nn.MaxPool2d((2, 2)),
        ConvBlock((1, 4), pool=nn.AvgPool2d(2)),
        ConvBlock((1, 4), dropout=1.0),
        Residual(nn.Conv2d(1, 1, 3, padding=1)),
        Residual(ConvBlock((1, 1), dropout=0.1), 0.1),
        nn.Sequential(ConvBlock((1, 4))),
    ],
)
def test_unknown_blocks(block: nn.Module) -> None:
    assert fuse([ConvBlock((1, 1)), block], SHAPE) is None


def with_part(name: str, part: nn.Module) -> ConvBlock:
    block = ConvBlock((4, 4), dropout=0.1)
    setattr(block, name, part)
    return block


@pytest.mark.parametrize(
    "block",
    [
        with_part("act", nn.GELU()),
        with_part("drop", nn.Dropout(0.1)),
        with_part("norm", nn.InstanceNorm2d(4)),
        with_part("norm", nn.BatchNorm2d(4, affine=False)),
        with_part("norm", nn.BatchNorm2d(4, track_running_stats=False)),
        with_part("norm", nn.BatchNorm2d(4, momentum=None)),
        with_part("conv", nn.Conv2d(4, 4, 3, groups=2)),
        with_part("conv", nn.Conv2d(4, 8, 3, groups=4)),
        with_part("conv", nn.Conv2d(4, 4, (1, 3), padding=(0, 1))),
        with_part("conv", nn.Conv2d(4, 4, 3, padding=3)),
        with_part("conv", nn.Conv2d(4, 4, 3, padding="same")),
        with_part("conv", nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect")),
        with_part("conv", nn.Conv2d(4, 4, 3, dilation=2)),
        with_part("conv", nn.Conv2d(4, 4, 3, stride=2)),
    ],
)
def test_unknown_parts(block: ConvBlock) -> None:
    assert fuse([ConvBlock((1, 4)), block], SHAPE) is None


@pytest.mark.compiler
def test_what_begins_with_a_pooling_or_not_at_all() -> None:
    assert fuse([nn.MaxPool2d(2), ConvBlock((1, 4))], SHAPE) is None
    assert fuse([], SHAPE) is None
    assert not TwoConv().compile_blocks()
    assert fuse([Separable((1, 4))], SHAPE) is not None


def test_only_for_steps_of_training_on_the_cpu() -> None:
    x = torch.randn(4, *SHAPE)
    assert can_train(x)
    assert not can_train(x.double())
    assert not can_train(x[:1])
    assert not can_train(x.clone().requires_grad_())
    assert not can_train(x.to("meta"))
    with torch.no_grad():
        assert not can_train(x)


@pytest.mark.compiler
def test_evaluation_is_pytorchs_own() -> None:
    network = ConvStack("c4 M d6 r").eval()
    expected = network(torch.ones(3, *SHAPE))
    assert network.compile_blocks()
    assert torch.equal(network(torch.ones(3, *SHAPE)), expected)


@pytest.mark.compiler
def test_a_copy_has_its_own_weights() -> None:
    network = ConvStack("c4 M d6 r").train()
    assert network.compile_blocks()
    network(torch.ones(3, *SHAPE)).sum().backward()
    other = copy.deepcopy(network)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    assert float(other(torch.ones(3, *SHAPE)).detach().abs().max()) == 0
    assert float(network(torch.ones(3, *SHAPE)).detach().abs().max()) > 0
    assert "_chain" not in network.state_dict()


@pytest.mark.compiler
def test_our_dropout_in_its_usual_place_is_known() -> None:
    assert isinstance(with_part("drop", Dropout(0.1)).drop, Dropout)
    assert fuse([ConvBlock((1, 4)), with_part("drop", Dropout(0.1))], SHAPE) is not None
