"""The pieces that networks are made of: convolution blocks, separable and residual."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from kilonet.models.dropout import Dropout


def activation(name: str) -> nn.Module:
    """Return a new nonlinearity: "relu" or "silu" (Elfwing et al. 2017); "none" is the identity."""
    return {"relu": nn.ReLU, "silu": nn.SiLU, "none": nn.Identity}[name]()


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
        bias: bool = False,
        batch_norm: bool = True,
        nonlinearity: str = "relu",
        dropout: float = 0.0,
        pool: nn.Module | None = None,
    ) -> None:
        padding = kernel // 2 if padded else 0
        conv = nn.Conv2d(*channels, kernel, stride, padding=padding, groups=groups, bias=bias)
        super().__init__()
        self.add_module("conv", conv)
        if pool is not None:
            self.add_module("pool", pool)
        if batch_norm:
            self.add_module("norm", nn.BatchNorm2d(channels[1]))
        self.add_module("act", activation(nonlinearity))
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
    assert norm.num_batches_tracked is not None
    assert norm.momentum is not None
    norm.num_batches_tracked.add_(1)
    normed = F.batch_norm(
        x,
        norm.running_mean,
        norm.running_var,
        norm.weight * drop.scale,
        norm.bias * drop.scale,
        training=True,
        momentum=norm.momentum,
        eps=norm.eps,
    )
    return drop.after_relu(normed)


class Separable(nn.Sequential):
    """Depthwise K×K, then pointwise 1×1, each a ``ConvBlock`` (Howard et al. 2017).

    K²·i + i·o weights where a full convolution has K²·i·o. ``kernel``, ``stride`` and ``padded``
    are those of the depthwise one; dropout and pooling come with the pointwise one. With
    ``linear_depthwise`` batch norm and nonlinearity are left out between the two (Chollet 2017).
    """

    def __init__(
        self,
        channels: tuple[int, int],
        kernel: int = 3,
        stride: int = 1,
        *,
        padded: bool = True,
        bias: bool = False,
        batch_norm: bool = True,
        nonlinearity: str = "relu",
        dropout: float = 0.0,
        pool: nn.Module | None = None,
        linear_depthwise: bool = False,
    ) -> None:
        into, _ = channels
        style: dict[str, Any] = {
            "bias": bias,
            "batch_norm": batch_norm,
            "nonlinearity": nonlinearity,
        }
        super().__init__()
        first = style
        if linear_depthwise:
            first = {"bias": bias, "batch_norm": False, "nonlinearity": "none"}
        depth = ConvBlock((into, into), kernel, stride, padded=padded, groups=into, **first)
        self.add_module("depth", depth)
        self.add_module("point", ConvBlock(channels, 1, dropout=dropout, pool=pool, **style))


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
