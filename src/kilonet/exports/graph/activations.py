"""Rules on activations: found in what ONNX writes, and joined with what they follow."""

from __future__ import annotations

from dataclasses import replace

from kilonet.exports.graph import operators as ops
from kilonet.exports.graph.operators import Operator
from kilonet.exports.graph.rewriting import Net


def silu(net: Net, op: Operator) -> bool:
    """x · sigmoid(x), the only way in which ONNX before opset 24 can say it."""
    if not isinstance(op, ops.Mul):
        return False
    for gate, x in (op.sources, op.sources[::-1]):
        made = net.making(gate)
        if isinstance(made, ops.Sigmoid) and made.source == x:
            net.put([op], [ops.SiLU(output=op.output, sources=(x,), shape=op.shape)])
            if not net.readers(gate):
                net.operators.remove(made)
            return True
    return False


def relu_before_max_pool(net: Net, op: Operator) -> bool:
    """max(relu(x)) is relu(max(x)), and costs nothing where it joins what makes x."""
    pool = net.maker(op)
    if not isinstance(op, ops.ReLU) or not isinstance(pool, ops.MaxPool):
        return False
    net.move_ahead(op, pool, f"{op.output}_unpooled")
    return True


def relu_into_maker(net: Net, op: Operator) -> bool:
    before = net.maker(op)
    if not isinstance(op, ops.ReLU) or not isinstance(before, ops.Conv2d | ops.Linear | ops.Add):
        return False
    net.put([before, op], [replace(before, output=op.output, relu=True)])
    return True


def relu_once(net: Net, op: Operator) -> bool:
    before = net.making(op.source)
    if not isinstance(op, ops.ReLU) or not isinstance(
        before, ops.Conv2d | ops.Linear | ops.Add | ops.ReLU
    ):
        return False
    if not isinstance(before, ops.ReLU) and not before.relu:
        return False
    net.operators.remove(op)
    net.rename(op.output, op.source)
    return True
