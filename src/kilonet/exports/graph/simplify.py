"""The list made short: batch norm folded, activations found, views dropped, values named.

Each rule looks at one operator and what stands around it, and says what to put in its place; they
are applied until none has anything to say. All of them keep the function, to rounding.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from kilonet.exports.graph import operators as ops
from kilonet.exports.graph.activations import relu_before_max_pool, relu_into_maker, relu_once, silu
from kilonet.exports.graph.operators import IMAGE, LOGITS, PROBABILITIES, Graph, Operator, Shape
from kilonet.exports.graph.rewriting import Net, Rule, apply
from kilonet.exports.graph.scales import (
    scale_as_convolution,
    scale_as_linear,
    scale_before,
    scale_into_maker,
    scale_into_scale,
    scale_into_user,
)
from kilonet.exports.graph.views import drop_views, view_after_pointwise, whole_convolution

FOLDING: tuple[Rule, ...] = (
    drop_views,
    whole_convolution,
    view_after_pointwise,
    silu,
    scale_into_scale,
    scale_into_maker,
    scale_before,
    scale_into_user,
)
LEFT_OVER: tuple[Rule, ...] = (scale_as_convolution, scale_as_linear, drop_views)
JOINING: tuple[Rule, ...] = (relu_once, relu_before_max_pool, relu_into_maker)


def simplify(
    image: Shape,
    operators: Sequence[Operator],
    outputs: Mapping[str, str],
    metadata: Mapping[str, str],
) -> Graph:
    """Return the graph of ``operators``, in which no ``Scale`` is left.

    ``outputs`` says which values are the "logits" and the "probabilities".
    """
    net = Net(operators, outputs)
    for rules in (FOLDING, LEFT_OVER, JOINING):
        apply(net, rules)
    return Graph(image, tuple(_named(net)), metadata)


def _named(net: Net) -> list[Operator]:
    """Return the operators with values named after what makes them: conv1, pool1, linear1."""
    counts: Counter[str] = Counter()
    names = {IMAGE: IMAGE}
    outputs = {name: key for key, name in net.outputs.items()}
    for op in net.operators:
        word = WORDS[type(op)]
        counts[word] += 1
        names[op.output] = outputs.get(op.output, f"{word}{counts[word]}")
    assert {LOGITS, PROBABILITIES} <= {*names.values()}
    return [
        _single(replace(op, output=names[op.output], sources=tuple(names[s] for s in op.sources)))
        for op in net.operators
    ]


def _single(op: Operator) -> Operator:
    """Return the operator with its weights as contiguous float32; folding was done in double."""
    arrays: dict[str, Any] = {
        key: np.ascontiguousarray(value, np.float32)
        for key, value in vars(op).items()
        if isinstance(value, np.ndarray)
    }
    return replace(op, **arrays)


WORDS: Mapping[type[Operator], str] = {
    ops.InputScaling: "scaled",
    ops.Conv2d: "conv",
    ops.Linear: "linear",
    ops.MaxPool: "pool",
    ops.AvgPool: "pool",
    ops.GlobalAvgPool: "mean",
    ops.ReLU: "relu",
    ops.LeakyReLU: "leaky",
    ops.SiLU: "silu",
    ops.Sigmoid: "sigmoid",
    ops.Add: "sum",
    ops.Mul: "product",
    ops.Concat: "joined",
    ops.Flatten: "flat",
    ops.Reshape: "reshaped",
    ops.Softmax: "softmax",
}
