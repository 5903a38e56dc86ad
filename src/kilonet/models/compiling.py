"""Which part of a network our own kernels can train: its blocks as the layers of their trunk."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import torch
from torch import nn

from kilonet.kernels.trunk import ACTIVATIONS, Layer, Pool, Sum, Trunk, Unit
from kilonet.models.blocks import ConvBlock, Residual, Separable, ShiftNorm2d, TurnedConv2d
from kilonet.models.dropout import Dropout

_WIDEST_WINDOW = 15  # a place in it is told by one byte


class _UnknownError(Exception):
    """Something that the kernels do not know."""


def trunk_of(blocks: Iterable[nn.Module], shape: tuple[int, int, int]) -> Trunk | None:
    """Return ``blocks``, one after another, as a trunk for images of ``shape``, C×H×W.

    None where one of them is, or has, what the kernels do not know. They know ``ConvBlock`` (max
    pooling, batch norm, ReLU or SiLU, our dropout), ``Separable``, ``Residual`` of these, and max
    pooling; a stride in the first convolution only.
    """
    layers: list[Layer] = []
    source = 0
    try:
        for block in blocks:
            source = _add(block, source, layers)
    except _UnknownError:
        return None
    return Trunk(layers, shape) if layers and isinstance(layers[0], Unit) else None


def can_evaluate(x: torch.Tensor) -> bool:
    """Say whether a trunk can be given ``x`` in evaluation, without gradients, on the CPU."""
    return not torch.is_grad_enabled() and x.device.type == "cpu" and x.dtype == torch.float32


def can_take(x: torch.Tensor) -> bool:
    """Say whether a trunk can be given ``x``: it is for training steps on the CPU."""
    is_learned_from = torch.is_grad_enabled() and not x.requires_grad
    return is_learned_from and x.device.type == "cpu" and x.dtype == torch.float32 and len(x) > 1


def _add(block: nn.Module, source: int, layers: list[Layer]) -> int:
    """Add the layers of ``block``, applied to step ``source``; return its value's step."""
    if isinstance(block, Separable):
        for part in block:
            source = _add(part, source, layers)
        return source
    if isinstance(block, Residual):
        last = _add(block.block, source, layers)
        branch = layers[last - 1]
        if not isinstance(branch, Unit):
            raise _UnknownError
        layers[last - 1] = _with_dropout(branch, block.drop)
        layers.append(Sum(source, last))
    elif isinstance(block, ConvBlock):
        layers.append(_unit(block, source))
    else:
        layers.append(Pool(source, _side_of_windows(block)))
    return len(layers)


def _unit(block: ConvBlock, source: int) -> Unit:
    parts = dict(block.named_children())
    conv, norm, act = parts["conv"], parts.get("norm"), parts["act"]
    if not isinstance(conv, nn.Conv2d) or not _is_known(conv, is_first=source == 0):
        raise _UnknownError
    if not (norm is None or (isinstance(norm, nn.BatchNorm2d) and _is_usual(norm))):
        raise _UnknownError
    if type(act) not in ACTIVATIONS:
        raise _UnknownError
    side = _side_of_windows(parts["pool"]) if "pool" in parts else 1
    filters = conv.filters if isinstance(conv, TurnedConv2d) else None
    fours = isinstance(conv, TurnedConv2d) and conv.is_by_fours()
    shift = norm.shift if isinstance(norm, ShiftNorm2d) else None
    end = ACTIVATIONS[type(act)]
    unit = Unit(source, conv, side, norm, end, filters=filters, fours=fours, shift=shift)
    return _with_dropout(unit, parts.get("drop", nn.Identity()))


def _with_dropout(unit: Unit, drop: nn.Module) -> Unit:
    """Return ``unit`` with ``drop``, dropout or nothing, at its end."""
    if isinstance(drop, nn.Identity):
        return unit
    if unit.draws is not None or not isinstance(drop, Dropout) or not drop.has_draws():
        raise _UnknownError
    return replace(unit, draws=drop.draws)


def _is_known(conv: nn.Conv2d, *, is_first: bool) -> bool:
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


def _is_usual(norm: nn.BatchNorm2d) -> bool:
    return norm.affine and norm.track_running_stats and norm.momentum is not None


def _side_of_windows(pool: nn.Module) -> int:
    """Return the side of the square windows, edge to edge, of which ``pool`` takes the maximum."""
    if not isinstance(pool, nn.MaxPool2d) or not isinstance(pool.kernel_size, int):
        raise _UnknownError
    usual = (pool.kernel_size, 0, 1, False, False)
    its = (pool.stride, pool.padding, pool.dilation, pool.ceil_mode, pool.return_indices)
    if its != usual or pool.kernel_size > _WIDEST_WINDOW:
        raise _UnknownError
    return pool.kernel_size
