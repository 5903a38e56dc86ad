"""Rules on views: only a change between maps and vectors that something needs stays."""

from __future__ import annotations

from dataclasses import replace

from kilonet.export.graph import operators as ops
from kilonet.export.graph.operators import Operator
from kilonet.export.graph.rewriting import Net


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
    if not isinstance(op, ops.Pointwise) or not isinstance(view, ops.Reshape):
        return False
    before = net.making(view.source)
    assert before is not None
    inner = replace(op, output=f"{op.output}_flat", sources=view.sources, shape=before.shape)
    net.put([view, op], [inner, replace(view, output=op.output, sources=(inner.output,))])
    return True


def pixel_convolution(net: Net, op: Operator) -> bool:
    if not isinstance(op, ops.Conv2d) or op.groups != 1:
        return False
    channels, height, width = net.shape(op.source)
    if (height, width) != (1, 1) or op.shape[1:] != (1, 1):
        return False
    weight = op.weight[:, :, op.padding[0], op.padding[1]]  # the only tap that meets the pixel
    flat, made = f"{op.output}_in", f"{op.output}_out"
    net.put(
        [op],
        [
            ops.Flatten(output=flat, sources=op.sources, shape=(channels,)),
            ops.Linear(
                output=made,
                sources=(flat,),
                shape=(len(weight),),
                weight=weight,
                bias=op.bias,
                relu=op.relu,
            ),
            ops.Reshape(output=op.output, sources=(made,), shape=op.shape),
        ],
    )
    return True
