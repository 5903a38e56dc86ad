"""Translation of a network's blocks into a fused chain for the compiled kernels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import torch
from torch import nn

from kilonet.kernels.chain import (
    ACTIVATIONS,
    ChainStep,
    ConvUnit,
    FusedChain,
    MaxPooling,
    ResidualAdd,
)
from kilonet.models.blocks import ConvBlock, P4Conv2d, Residual, Separable, ShiftNorm2d
from kilonet.models.dropout import Dropout

_MAX_WINDOW = 15  # the kernels store a position within a pooling window in one byte


class _UnsupportedError(Exception):
    """The kernels do not support a module."""


def fuse(blocks: Iterable[nn.Module], shape: tuple[int, int, int]) -> FusedChain | None:
    """Return ``blocks`` as one fused chain for images C×H×W, or None if that is not possible.

    The kernels support ``ConvBlock`` (with max pooling, batch norm, ReLU or SiLU, and this
    package's dropout), ``Separable``, ``Residual`` of these, and max pooling. Only the first
    convolution may have a stride.
    """
    steps = _steps(blocks)
    return None if steps is None else FusedChain(steps, shape)


def can_fuse(blocks: Iterable[nn.Module]) -> bool:
    """Return whether the kernels support ``blocks``; needs no compiled library."""
    return _steps(blocks) is not None


def _steps(blocks: Iterable[nn.Module]) -> list[ChainStep] | None:
    steps: list[ChainStep] = []
    source = 0
    try:
        for block in blocks:
            source = _add(block, source, steps)
    except _UnsupportedError:
        return None
    return steps if steps and isinstance(steps[0], ConvUnit) else None


def can_evaluate(x: torch.Tensor) -> bool:
    """Return whether a chain can evaluate ``x``: float32 on the CPU, no gradients needed."""
    return not torch.is_grad_enabled() and x.device.type == "cpu" and x.dtype == torch.float32


def can_train(x: torch.Tensor) -> bool:
    """Return whether a chain can train on ``x``: two or more float32 images on the CPU."""
    needs_gradients = torch.is_grad_enabled() and not x.requires_grad
    return needs_gradients and x.device.type == "cpu" and x.dtype == torch.float32 and len(x) > 1


def _add(block: nn.Module, source: int, steps: list[ChainStep]) -> int:
    """Append ``block``, applied to the value of step ``source``; return its own step's number."""
    if isinstance(block, Separable):
        for part in block:
            source = _add(part, source, steps)
        return source
    if isinstance(block, Residual):
        last = _add(block.block, source, steps)
        branch = steps[last - 1]
        if not isinstance(branch, ConvUnit):
            raise _UnsupportedError
        steps[last - 1] = _with_dropout(branch, block.drop)
        steps.append(ResidualAdd(source, last))
    elif isinstance(block, ConvBlock):
        steps.append(_unit(block, source))
    else:
        steps.append(MaxPooling(source, _window_side(block)))
    return len(steps)


def _unit(block: ConvBlock, source: int) -> ConvUnit:
    modules = dict(block.named_children())
    conv, norm, act = modules["conv"], modules.get("norm"), modules["act"]
    if not isinstance(conv, nn.Conv2d) or not _supports_conv(conv, is_first=source == 0):
        raise _UnsupportedError
    if not (norm is None or (isinstance(norm, nn.BatchNorm2d) and _supports_norm(norm))):
        raise _UnsupportedError
    if type(act) not in ACTIVATIONS:
        raise _UnsupportedError
    unit = ConvUnit(
        source,
        conv,
        side=_window_side(modules["pool"]) if "pool" in modules else 1,
        norm=norm,
        activation=ACTIVATIONS[type(act)],
        filters=conv.index if isinstance(conv, P4Conv2d) else None,
        p4=isinstance(conv, P4Conv2d) and conv.is_regular_pointwise(),
        shift=norm.index() if isinstance(norm, ShiftNorm2d) else None,
    )
    return _with_dropout(unit, modules.get("drop", nn.Identity()))


def _with_dropout(unit: ConvUnit, drop: nn.Module) -> ConvUnit:
    """Return ``unit`` with ``drop`` (dropout or the identity) at its end."""
    if isinstance(drop, nn.Identity):
        return unit
    if unit.dropout is not None or not isinstance(drop, Dropout) or not drop.has_mask():
        raise _UnsupportedError
    return replace(unit, dropout=drop.draw_mask)


def _supports_conv(conv: nn.Conv2d, *, is_first: bool) -> bool:
    kernel, padding = conv.kernel_size, conv.padding
    return (
        conv.groups in (1, conv.in_channels)
        and (conv.groups == 1 or conv.out_channels == conv.in_channels)
        and not isinstance(padding, str)
        and len({kernel, (kernel[0],) * 2}) == len({padding, (padding[0],) * 2}) == 1
        and padding[0] < kernel[0]
        and conv.padding_mode == "zeros"
        and conv.dilation == (1, 1)
        and (conv.stride == (1, 1) or (is_first and conv.stride[0] == conv.stride[1]))
    )


def _supports_norm(norm: nn.BatchNorm2d) -> bool:
    return norm.affine and norm.track_running_stats and norm.momentum is not None


def _window_side(pool: nn.Module) -> int:
    """Return the side of the square, adjacent windows of the max pooling ``pool``."""
    if not isinstance(pool, nn.MaxPool2d) or not isinstance(pool.kernel_size, int):
        raise _UnsupportedError
    supported = (pool.kernel_size, 0, 1, False, False)
    actual = (pool.stride, pool.padding, pool.dilation, pool.ceil_mode, pool.return_indices)
    if actual != supported or pool.kernel_size > _MAX_WINDOW:
        raise _UnsupportedError
    return pool.kernel_size
