"""Rules on a scale and an offset of each channel, which is what trained batch norm comes to."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kilonet.exports.graph import operators as ops
from kilonet.exports.graph.operators import Operator
from kilonet.exports.graph.rewriting import Net


def scale_into_scale(net: Net, op: Operator) -> bool:
    before = net.maker(op)
    if not isinstance(op, ops.Scale) or not isinstance(before, ops.Scale | ops.InputScaling):
        return False
    if isinstance(before, ops.InputScaling) and (op.scale <= 0).any():
        return False  # so that brighter stays larger, which int8's pixels need
    scale, offset = before.scale * op.scale, before.offset * op.scale + op.offset
    net.put([before, op], [replace(before, output=op.output, scale=scale, offset=offset)])
    return True


def scale_into_maker(net: Net, op: Operator) -> bool:
    before = net.maker(op)
    if not isinstance(op, ops.Scale) or not isinstance(before, ops.Conv2d | ops.Linear):
        return False
    scale = op.scale.reshape(-1, *(1,) * (before.weight.ndim - 1))
    weight, bias = before.weight * scale, before.bias * op.scale + op.offset
    net.put([before, op], [replace(before, output=op.output, weight=weight, bias=bias)])
    return True


def scale_before(net: Net, op: Operator) -> bool:
    """A scale moves ahead of a pooling or a view, where what it meets there can take it in."""
    before = net.maker(op)
    if not isinstance(op, ops.Scale) or before is None:
        return False
    passes = isinstance(before, ops.AvgPool | ops.GlobalAvgPool)
    passes |= isinstance(before, ops.MaxPool) and bool((op.scale >= 0).all())
    passes |= isinstance(before, ops.View) and _same_channels(net, before)
    if not passes or not isinstance(
        net.maker(before), ops.Conv2d | ops.Linear | ops.Pool | ops.View
    ):
        return False
    net.move_ahead(op, before, f"{op.output}_scaled")
    return True


def _same_channels(net: Net, view: Operator) -> bool:
    """Say whether a view keeps one number a channel: (C, 1, 1) to (C,) and back."""
    return net.shape(view.source)[0] == view.shape[0] == int(np.prod(view.shape))


def scale_into_user(net: Net, op: Operator) -> bool:
    """A scale is taken in by the weights that follow it, unless zeros stand around the map."""
    user = net.only_user(op)
    if not isinstance(op, ops.Scale) or not isinstance(user, ops.Conv2d | ops.Linear):
        return False
    if isinstance(user, ops.Conv2d) and (any(user.padding) or user.groups != 1):
        return False
    scale = op.scale.reshape(1, -1, *(1,) * (user.weight.ndim - 2))
    offset = op.offset.reshape(scale.shape)
    sums = (user.weight * offset).reshape(user.weight.shape[0], -1).sum(1)
    taken = replace(user, sources=op.sources, weight=user.weight * scale, bias=user.bias + sums)
    net.put([op, user], [taken])
    return True


def scale_as_convolution(net: Net, op: Operator) -> bool:
    """A scale of a map that nothing took in is a 1×1 convolution of each channel on its own."""
    if not isinstance(op, ops.Scale) or _is_vector(op):
        return False
    channels = len(op.scale)
    conv = ops.Conv2d(
        output=op.output,
        sources=op.sources,
        shape=op.shape,
        weight=op.scale.reshape(channels, 1, 1, 1),
        bias=op.offset,
        groups=channels,
    )
    net.put([op], [conv])
    return True


def scale_as_linear(net: Net, op: Operator) -> bool:
    """And one of a number a channel, such as the logits, is a linear layer with a diagonal."""
    if not isinstance(op, ops.Scale) or not _is_vector(op):
        return False
    flat, made = f"{op.output}_flat", f"{op.output}_made"
    shape = (len(op.scale),)
    linear = ops.Linear(
        output=made, sources=(flat,), shape=shape, weight=np.diag(op.scale), bias=op.offset
    )
    before = ops.Flatten(output=flat, sources=op.sources, shape=shape)
    view = ops.Flatten if op.shape == shape else ops.Reshape
    net.put([op], [before, linear, view(output=op.output, sources=(made,), shape=op.shape)])
    return True


def _is_vector(op: ops.Scale) -> bool:
    return int(np.prod(op.shape)) == len(op.scale)
