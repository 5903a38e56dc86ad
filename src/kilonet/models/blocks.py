"""The pieces that networks are made of: convolution blocks, separable and residual."""

from __future__ import annotations

from typing import Any, TypedDict, Unpack

import torch
import torch.nn.functional as F
from torch import nn

from kilonet.models.dropout import Dropout
from kilonet.recipe.words import TURNS


class Style(TypedDict, total=False):
    """How the convolutions of a block are made, and what follows each: plain unless said.

    ``nonlinearity`` is "relu", "silu" or "none". ``norm_scale`` fixes batch norm's scale. What is
    ``turned`` or ``cyclic`` is a ``TurnedConv2d``; with ``fours`` batch norm's shifts are shared
    as in ``ShiftNorm2d``.
    """

    bias: bool
    batch_norm: bool
    norm_scale: float | None
    nonlinearity: str
    turned: bool
    fours: bool
    cyclic: bool


def activation(name: str) -> nn.Module:
    """Return a new nonlinearity: "relu" or "silu" (Elfwing et al. 2017); "none" is the identity."""
    return {"relu": nn.ReLU, "silu": nn.SiLU, "none": nn.Identity}[name]()


class TurnedConv2d(nn.Conv2d):
    """A convolution whose filters come in fours, each a quarter turn on from the one before it.

    One of every four is stored, ``weight``, (⌈O/4⌉, I/groups, K, K): strokes run in all directions,
    so what finds one finds the others when turned. A ``cyclic`` one takes its input's channels for
    such fours as well, and moves on by one in each of them with every quarter turn; then turning
    the image turns the output and moves its channels on, and nothing else (the group p4 of Cohen
    and Welling 2016). ``filters`` gives all of them.
    """

    index: torch.Tensor

    def __init__(self, *args: Any, cyclic: bool = False, **named: Any) -> None:
        super().__init__(*args, **named)
        self.cyclic = cyclic
        every = self.weight.detach()
        self.weight = nn.Parameter(every[::TURNS].clone())
        places = torch.arange(self.weight.numel()).view_as(self.weight)
        turns = [_turned(places, times, cyclic=cyclic) for times in range(TURNS)]
        index = torch.stack(turns, dim=1).flatten(0, 1)[: len(every)]
        self.register_buffer("index", index.flatten(), persistent=False)

    def is_by_fours(self) -> bool:
        """Say whether it is a 1×1 one of whole fours of channels to whole fours of channels."""
        whole = self.in_channels % TURNS == self.out_channels % TURNS == 0
        point = self.kernel_size == self.stride == (1, 1) and self.groups == 1
        return self.cyclic and whole and point

    def filters(self) -> torch.Tensor:
        """Return all filters, (O, I/groups, K, K), differentiable by those that are stored."""
        shape = (self.out_channels, *self.weight.shape[1:])
        filters: torch.Tensor = self.weight.flatten().index_select(0, self.index).view(shape)
        return filters

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return what a plain convolution with ``filters`` does: N×O×H×W."""
        y: torch.Tensor = self._conv_forward(x, self.filters(), self.bias)
        return y


def _turned(filters: torch.Tensor, times: int, *, cyclic: bool) -> torch.Tensor:
    """Return ``filters`` turned by so many quarters, with their input's fours moved on as often."""
    turned = torch.rot90(filters, times, (2, 3))
    if not cyclic:
        return turned
    outputs, inputs, *sides = turned.shape
    fours = turned.reshape(outputs, inputs // TURNS, TURNS, *sides)
    return fours.roll(times, dims=2).flatten(1, 2)


class ShiftNorm2d(nn.BatchNorm2d):
    """Batch norm that learns a shift alone; its scale is the same number for every channel.

    The weights that follow can do what a scale does, but for where a nonlinearity bends: SiLU is
    near a straight line around 0, so that ``scale`` says how far into its bend values reach. With
    ``fours`` four channels in turn have one shift, as those have that ``TurnedConv2d`` makes.
    """

    def __init__(self, channels: int, scale: float, *, fours: bool = False) -> None:
        super().__init__(channels)
        del self.weight
        self.register_buffer("weight", torch.full((channels,), scale), persistent=False)
        self.repeats = TURNS if fours else 1
        self.bias = nn.Parameter(self.bias.detach()[:: self.repeats].clone())

    def shift(self) -> torch.Tensor:
        """Return the shift of each channel, (C,), differentiable by those that are stored."""
        return self.bias.repeat_interleave(self.repeats)[: self.num_features]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``x`` normalised, N×C×H×W."""
        return _normed(x, self, 1.0)


def _norm(channels: int, style: Style) -> nn.BatchNorm2d:
    scale = style.get("norm_scale")
    if scale is None:
        return nn.BatchNorm2d(channels)
    return ShiftNorm2d(channels, scale, fours=style.get("fours", False))


def shift_of(norm: nn.BatchNorm2d) -> torch.Tensor:
    """Return the shift of each channel that ``norm`` gives, (C,)."""
    return norm.shift() if isinstance(norm, ShiftNorm2d) else norm.bias


def _normed(x: torch.Tensor, norm: nn.BatchNorm2d, factor: float) -> torch.Tensor:
    """Return ``x`` normalised as ``norm`` does, with its scale and shift times ``factor``."""
    assert norm.num_batches_tracked is not None
    assert norm.momentum is not None
    if norm.training:
        norm.num_batches_tracked.add_(1)
    return F.batch_norm(
        x,
        norm.running_mean,
        norm.running_var,
        norm.weight * factor,
        shift_of(norm) * factor,
        training=norm.training,
        momentum=norm.momentum,
        eps=norm.eps,
    )


def with_plain_modules(model: nn.Module) -> nn.Module:
    """Return ``model`` with PyTorch's own modules in the place of ours that share numbers.

    It is changed in place, and computes the same.
    """
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, TurnedConv2d):
                setattr(module, name, _plain_convolution(child))
            elif isinstance(child, ShiftNorm2d):
                setattr(module, name, _plain_norm(child))
    return model


def _plain_convolution(conv: TurnedConv2d) -> nn.Conv2d:
    with torch.device("meta"):
        plain = nn.Conv2d(
            conv.in_channels,
            conv.out_channels,
            conv.kernel_size,  # type: ignore[arg-type]
            conv.stride,  # type: ignore[arg-type]
            conv.padding,  # type: ignore[arg-type]
            groups=conv.groups,
            bias=conv.bias is not None,
        )
    plain.weight = nn.Parameter(conv.filters().detach())
    plain.bias = conv.bias
    return plain


def _plain_norm(norm: ShiftNorm2d) -> nn.BatchNorm2d:
    plain = nn.BatchNorm2d(norm.num_features, norm.eps, norm.momentum)
    plain.load_state_dict({**norm.state_dict(), "weight": norm.weight, "bias": norm.shift()})
    return plain.train(norm.training)


class ConvBlock(nn.Sequential):
    """Convolution, pooling, batch norm, nonlinearity, dropout; all but the first may be absent.

    Padding keeps height and width at stride 1 for odd kernels. Pooling ahead of the nonlinearity
    leaves the rest less to do; with max pooling and ReLU their order changes nothing but that.
    """

    def __init__(
        self,
        channels: tuple[int, int],
        kernel: int = 3,
        stride: int = 1,
        *,
        padded: bool = True,
        groups: int = 1,
        dropout: float = 0.0,
        pool: nn.Module | None = None,
        **style: Unpack[Style],
    ) -> None:
        shape: dict[str, Any] = {
            "kernel_size": kernel,
            "stride": stride,
            "padding": kernel // 2 if padded else 0,
            "groups": groups,
            "bias": style.get("bias", False),
        }
        super().__init__()
        if style.get("turned", False):
            cyclic = style.get("cyclic", False)
            self.add_module("conv", TurnedConv2d(*channels, **shape, cyclic=cyclic))
        else:
            self.add_module("conv", nn.Conv2d(*channels, **shape))
        if pool is not None:
            self.add_module("pool", pool)
        if style.get("batch_norm", True):
            self.add_module("norm", _norm(channels[1], style))
        self.add_module("act", activation(style.get("nonlinearity", "relu")))
        if dropout > 0:
            self.add_module("drop", Dropout(dropout))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return an N×C×H×W tensor; ReLU and dropout are one step of training where they can be."""
        conv, *end = self
        x = conv(x)
        for module in end:
            if isinstance(module, nn.BatchNorm2d) and (drop := self._dropout_after_relu(x)):
                return normed_relu_dropped(x, module, drop)
            x = module(x)
        return x

    def _dropout_after_relu(self, x: torch.Tensor) -> Dropout | None:
        """Return the dropout that ends the block, where it can be joined with what precedes it."""
        *_, act, drop = self
        if not (self.training and isinstance(act, nn.ReLU) and isinstance(drop, Dropout)):
            return None
        return drop if drop.is_fast_for(x) else None


def normed_relu_dropped(x: torch.Tensor, norm: nn.BatchNorm2d, drop: Dropout) -> torch.Tensor:
    """Return ``drop(relu(norm(x)))`` in training, to rounding, with half the passes over memory.

    Dropout's factor is positive, so ReLU lets it through to batch norm's scale and shift, a few
    numbers instead of all; what remains of ReLU and dropout is one mask. ``drop`` must be fast for
    ``x``.
    """
    return drop.after_relu(_normed(x, norm, drop.scale))


class Scaled(nn.Module):
    """Its input times one learnt number."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return a tensor of the input's shape."""
        return x * self.factor


class Separable(nn.Sequential):
    """Depthwise K×K, then pointwise 1×1, each a ``ConvBlock`` (Howard et al. 2017).

    K²·i + i·o weights where a full convolution has K²·i·o. ``kernel``, ``stride`` and ``padded``
    are those of the depthwise one; dropout and pooling come with the pointwise one. With
    ``linear_depthwise`` batch norm and nonlinearity are left out between the two (Chollet 2017).
    With ``turned`` the depthwise filters are a quarter as many, with ``cyclic`` the pointwise
    weights too: K²·i/4 and i·o/4 (see ``TurnedConv2d``).
    """

    def __init__(
        self,
        channels: tuple[int, int],
        kernel: int = 3,
        stride: int = 1,
        *,
        padded: bool = True,
        dropout: float = 0.0,
        pool: nn.Module | None = None,
        linear_depthwise: bool = False,
        **style: Unpack[Style],
    ) -> None:
        into, _ = channels
        first: Style = {**style, "cyclic": False}  # each of its filters sees one channel
        if linear_depthwise:
            first |= {"batch_norm": False, "nonlinearity": "none"}
        last: Style = {**style, "turned": style.get("cyclic", False)}
        super().__init__()
        depth = ConvBlock((into, into), kernel, stride, padded=padded, groups=into, **first)
        self.add_module("depth", depth)
        self.add_module("point", ConvBlock(channels, 1, dropout=dropout, pool=pool, **last))


class Residual(nn.Module):
    """x + block(x) (He et al. 2016), dropout on the branch; the block keeps its input's shape."""

    def __init__(self, block: nn.Module, dropout: float = 0.0) -> None:
        super().__init__()
        self.block = block
        self.drop: nn.Module = Dropout(dropout) if dropout > 0 else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return an N×C×H×W tensor of the input's shape."""
        sum_: torch.Tensor = x + self.drop(self.block(x))
        return sum_


def share_weights(block: nn.Module, owner: nn.Module) -> None:
    """Let the convolutions of ``block`` use those weights that the same ones of ``owner`` have.

    Both are of one shape. Batch norms stay each block's own: what passes a second time is of
    another mean and spread.
    """
    pairs = zip(block.modules(), owner.modules(), strict=True)
    for mine, its in pairs:
        if isinstance(mine, nn.Conv2d):
            assert isinstance(its, nn.Conv2d)
            mine.weight, mine.bias = its.weight, its.bias
