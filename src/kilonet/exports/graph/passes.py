"""Rewriting rules for the operator graph, and the graph while rules rewrite it.

Each rule looks at one operator and its neighbours. All rules keep the function, up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from kilonet.exports.graph import operators as ops
from kilonet.exports.graph.operators import Operator, Shape


class RewritableGraph:
    """The operators and outputs of a graph while rules rewrite them."""

    def __init__(self, operators: Sequence[Operator], outputs: Mapping[str, str]) -> None:
        self.operators = list(operators)
        self.outputs = dict(outputs)

    def sole_producer(self, op: Operator) -> Operator | None:
        """Return the producer of ``op``'s first input, if nothing else reads that input."""
        return self.producer(op.source) if self.read_count(op.source) == 1 else None

    def producer(self, value: str) -> Operator | None:
        """Return the operator that computes ``value``."""
        return next((op for op in self.operators if op.output == value), None)

    def shape(self, value: str) -> Shape:
        """Return the shape of a value that an operator computes."""
        producer = self.producer(value)
        assert producer is not None
        return producer.shape

    def sole_consumer(self, op: Operator) -> Operator | None:
        """Return the only reader of ``op``'s output, if it is an operator."""
        users = [user for user in self.operators if op.output in user.sources]
        return users[0] if self.read_count(op.output) == 1 and users else None

    def read_count(self, value: str) -> int:
        """Return how often operators read ``value``, plus one if it is a network output."""
        inside = sum(op.sources.count(value) for op in self.operators)
        return inside + list(self.outputs.values()).count(value)

    def substitute(self, old: Sequence[Operator], new: Sequence[Operator]) -> None:
        """Replace ``old`` operators with ``new`` ones, at the position of the last old one."""
        position = self.operators.index(old[-1])
        self.operators[position : position + 1] = new
        for op in old[:-1]:
            self.operators.remove(op)

    def move_before(self, op: Operator, before: Operator, inner: str) -> None:
        """Exchange ``op`` and its producer ``before``; ``inner`` names the value between them."""
        shape = self.shape(before.source)
        first = replace(op, output=inner, sources=before.sources, shape=shape)
        second = replace(before, output=op.output, sources=(inner,))
        self.substitute([before, op], [first, second])

    def redirect(self, value: str, other: str) -> None:
        """Make all readers of ``value`` read ``other``."""
        names = {value: other}
        self.operators = [
            replace(op, sources=tuple(names.get(source, source) for source in op.sources))
            for op in self.operators
        ]
        self.outputs = {key: names.get(name, name) for key, name in self.outputs.items()}


Rule = Callable[[RewritableGraph, Operator], bool]
"""Rewrites the graph at one operator; returns False if it does not apply there."""


def apply(graph: RewritableGraph, rules: Sequence[Rule]) -> None:
    """Apply ``rules`` until none applies, then remove operators whose output nothing reads."""
    while any(rule(graph, op) for rule in rules for op in list(graph.operators)):
        pass
    for op in reversed(list(graph.operators)):
        if not graph.read_count(op.output):
            graph.operators.remove(op)


# Views


def remove_views(graph: RewritableGraph, op: Operator) -> bool:
    """Merge consecutive views, and remove a view that restores the shape before it."""
    if not isinstance(op, ops.View):
        return False
    before = graph.producer(op.source)
    if isinstance(before, ops.View):
        kind = ops.Flatten if len(op.shape) == 1 else ops.Reshape
        view = kind(output=op.output, sources=before.sources, shape=op.shape)
        graph.substitute([op], [view])
        return True
    if before is not None and before.shape == op.shape:
        graph.operators.remove(op)
        graph.redirect(op.output, op.source)
        return True
    return False


def move_view_after_pointwise(graph: RewritableGraph, op: Operator) -> bool:
    """Replace f(view(x)) with view(f(x)), so that the view can merge with another one."""
    view = graph.sole_producer(op)
    if not isinstance(op, ops.Pointwise) or not isinstance(view, ops.View):
        return False
    graph.move_before(op, view, f"{op.output}_before")
    return True


def convolution_to_linear(graph: RewritableGraph, op: Operator) -> bool:
    """Replace a convolution whose only window covers the whole map with a linear layer."""
    if not isinstance(op, ops.Conv2d) or op.groups != 1 or op.shape[1:] != (1, 1):
        return False
    channels, height, width = graph.shape(op.source)
    weight = op.weight
    if (height, width) == (1, 1):
        weight = weight[:, :, op.padding[0], op.padding[1], None, None]  # the tap at the pixel
    elif any(op.padding) or op.kernel != (height, width):
        return False
    flat, result, values = f"{op.output}_in", f"{op.output}_out", channels * height * width
    linear = ops.Linear(
        output=result,
        sources=(flat,),
        shape=(len(weight),),
        weight=weight.reshape(len(weight), values),
        bias=op.bias,
        relu=op.relu,
    )
    flatten = ops.Flatten(output=flat, sources=op.sources, shape=(values,))
    reshape = ops.Reshape(output=op.output, sources=(result,), shape=op.shape)
    graph.substitute([op], [flatten, linear, reshape])
    return True


# Activations


def fuse_silu(graph: RewritableGraph, op: Operator) -> bool:
    """Fuse x · sigmoid(x), the form of SiLU in ONNX before opset 24."""
    if not isinstance(op, ops.Mul):
        return False
    for gate, x in (op.sources, op.sources[::-1]):
        sigmoid = graph.producer(gate)
        if isinstance(sigmoid, ops.Sigmoid) and sigmoid.source == x:
            fused = ops.SiLU(output=op.output, sources=(x,), shape=op.shape)
            graph.substitute([op], [fused])
            if not graph.read_count(gate):
                graph.operators.remove(sigmoid)
            return True
    return False


def move_relu_before_max_pool(graph: RewritableGraph, op: Operator) -> bool:
    """Replace relu(max_pool(x)) with max_pool(relu(x)): ReLU can be fused with x."""
    pool = graph.sole_producer(op)
    if not isinstance(op, ops.ReLU) or not isinstance(pool, ops.MaxPool):
        return False
    graph.move_before(op, pool, f"{op.output}_unpooled")
    return True


def fuse_relu(graph: RewritableGraph, op: Operator) -> bool:
    """Fuse ReLU with the convolution, linear layer or sum before it."""
    before = graph.sole_producer(op)
    if not isinstance(op, ops.ReLU) or not isinstance(before, ops.Conv2d | ops.Linear | ops.Add):
        return False
    graph.substitute([before, op], [replace(before, output=op.output, relu=True)])
    return True


def remove_second_relu(graph: RewritableGraph, op: Operator) -> bool:
    """Remove a ReLU after an operator that already ends in one."""
    before = graph.producer(op.source)
    if not isinstance(op, ops.ReLU) or not isinstance(
        before, ops.Conv2d | ops.Linear | ops.Add | ops.ReLU
    ):
        return False
    if not isinstance(before, ops.ReLU) and not before.relu:
        return False
    graph.operators.remove(op)
    graph.redirect(op.output, op.source)
    return True


# Scales and offsets of each channel, the form of trained batch norm


def merge_scales(graph: RewritableGraph, op: Operator) -> bool:
    """Merge two consecutive scales, or a scale with the input scaling."""
    before = graph.sole_producer(op)
    if not isinstance(op, ops.Scale) or not isinstance(before, ops.Scale | ops.InputScaling):
        return False
    if isinstance(before, ops.InputScaling) and (op.scale <= 0).any():
        return False  # int8 needs scales that keep the order of pixel values
    scale, offset = before.scale * op.scale, before.offset * op.scale + op.offset
    merged = replace(before, output=op.output, scale=scale, offset=offset)
    graph.substitute([before, op], [merged])
    return True


def fold_scale_backward(graph: RewritableGraph, op: Operator) -> bool:
    """Fold a scale into the weights before it."""
    before = graph.sole_producer(op)
    if not isinstance(op, ops.Scale) or not isinstance(before, ops.Conv2d | ops.Linear):
        return False
    scale = op.scale.reshape(-1, *(1,) * (before.weight.ndim - 1))
    weight, bias = before.weight * scale, before.bias * op.scale + op.offset
    folded = replace(before, output=op.output, weight=weight, bias=bias)
    graph.substitute([before, op], [folded])
    return True


def move_scale_before(graph: RewritableGraph, op: Operator) -> bool:
    """Move a scale before a pooling or a view, if it may be folded there."""
    before = graph.sole_producer(op)
    if not isinstance(op, ops.Scale) or before is None:
        return False
    commutes = isinstance(before, ops.AvgPool | ops.GlobalAvgPool)
    commutes |= isinstance(before, ops.MaxPool) and bool((op.scale >= 0).all())
    commutes |= isinstance(before, ops.View) and _keeps_channels(graph, before)
    if not commutes or not isinstance(
        graph.sole_producer(before), ops.Conv2d | ops.Linear | ops.Pool | ops.View
    ):
        return False
    graph.move_before(op, before, f"{op.output}_scaled")
    return True


def _keeps_channels(graph: RewritableGraph, view: Operator) -> bool:
    """Return whether a view keeps one number per channel: (C, 1, 1) to (C,) or back."""
    return graph.shape(view.source)[0] == view.shape[0] == int(np.prod(view.shape))


def fold_scale_forward(graph: RewritableGraph, op: Operator) -> bool:
    """Fold a scale into the weights after it, unless these pad the map with zeros."""
    user = graph.sole_consumer(op)
    if not isinstance(op, ops.Scale) or not isinstance(user, ops.Conv2d | ops.Linear):
        return False
    if isinstance(user, ops.Conv2d) and (any(user.padding) or user.groups != 1):
        return False
    scale = op.scale.reshape(1, -1, *(1,) * (user.weight.ndim - 2))
    offset = op.offset.reshape(scale.shape)
    sums = (user.weight * offset).reshape(user.weight.shape[0], -1).sum(1)
    folded = replace(user, sources=op.sources, weight=user.weight * scale, bias=user.bias + sums)
    graph.substitute([op, user], [folded])
    return True


def scale_to_convolution(graph: RewritableGraph, op: Operator) -> bool:
    """Replace a remaining scale of a feature map with a depthwise 1×1 convolution."""
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
    graph.substitute([op], [conv])
    return True


def scale_to_linear(graph: RewritableGraph, op: Operator) -> bool:
    """Replace a remaining scale of a vector, such as the logits, with a diagonal linear layer."""
    if not isinstance(op, ops.Scale) or not _is_vector(op):
        return False
    flat, result = f"{op.output}_flat", f"{op.output}_made"
    shape = (len(op.scale),)
    linear = ops.Linear(
        output=result, sources=(flat,), shape=shape, weight=np.diag(op.scale), bias=op.offset
    )
    flatten = ops.Flatten(output=flat, sources=op.sources, shape=shape)
    kind = ops.Flatten if op.shape == shape else ops.Reshape
    view = kind(output=op.output, sources=(result,), shape=op.shape)
    graph.substitute([op], [flatten, linear, view])
    return True


def _is_vector(op: ops.Scale) -> bool:
    return int(np.prod(op.shape)) == len(op.scale)
