"""Rules on views: only a change between maps and vectors that something needs stays."""

from __future__ import annotations

from kilonet.exports.graph import operators as ops
from kilonet.exports.graph.operators import Operator
from kilonet.exports.graph.rewriting import Net


def drop_views(net: Net, op: Operator) -> bool:
    if not isinstance(op, ops.View):
        return False
    before = net.making(op.source)
    if isinstance(before, ops.View):
        kind = ops.Flatten if len(op.shape) == 1 else ops.Reshape
        net.put([op], [kind(output=op.output, sources=before.sources, shape=op.shape)])
        return True
    if before is not None and before.shape == op.shape:
        net.operators.remove(op)
        net.rename(op.output, op.source)
        return True
    return False


def view_after_pointwise(net: Net, op: Operator) -> bool:
    """f(view(x)) is view(f(x)): then the view may meet another and vanish."""
    view = net.maker(op)
    if not isinstance(op, ops.Pointwise) or not isinstance(view, ops.View):
        return False
    net.move_ahead(op, view, f"{op.output}_before")
    return True


def whole_convolution(net: Net, op: Operator) -> bool:
    """A convolution whose only window covers the map is a linear layer."""
    if not isinstance(op, ops.Conv2d) or op.groups != 1 or op.shape[1:] != (1, 1):
        return False
    channels, height, width = net.shape(op.source)
    weight = op.weight
    if (height, width) == (1, 1):
        weight = weight[:, :, op.padding[0], op.padding[1], None, None]  # what meets the pixel
    elif any(op.padding) or op.kernel != (height, width):
        return False
    flat, made, values = f"{op.output}_in", f"{op.output}_out", channels * height * width
    linear = ops.Linear(
        output=made,
        sources=(flat,),
        shape=(len(weight),),
        weight=weight.reshape(len(weight), values),
        bias=op.bias,
        relu=op.relu,
    )
    flatten = ops.Flatten(output=flat, sources=op.sources, shape=(values,))
    shaped = ops.Reshape(output=op.output, sources=(made,), shape=op.shape)
    net.put([op], [flatten, linear, shaped])
    return True
