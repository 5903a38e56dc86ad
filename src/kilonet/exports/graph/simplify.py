"""Simplification of the operator graph: folds batch norm, fuses activations, names the values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from kilonet.exports.graph import operators as ops
from kilonet.exports.graph import passes
from kilonet.exports.graph.operators import IMAGE, LOGITS, PROBABILITIES, Graph, Operator, Shape

FOLDING: tuple[passes.Rule, ...] = (
    passes.remove_views,
    passes.convolution_to_linear,
    passes.move_view_after_pointwise,
    passes.fuse_silu,
    passes.merge_scales,
    passes.fold_scale_backward,
    passes.move_scale_before,
    passes.fold_scale_forward,
)
REMAINING_SCALES: tuple[passes.Rule, ...] = (
    passes.scale_to_convolution,
    passes.scale_to_linear,
    passes.remove_views,
)
FUSION: tuple[passes.Rule, ...] = (
    passes.remove_second_relu,
    passes.move_relu_before_max_pool,
    passes.fuse_relu,
)


def simplify(
    image: Shape,
    operators: Sequence[Operator],
    outputs: Mapping[str, str],
    metadata: Mapping[str, str],
) -> Graph:
    """Return the graph of ``operators`` without any ``Scale``.

    ``outputs`` maps "logits" and "probabilities" to the names of their values.
    """
    graph = passes.RewritableGraph(operators, outputs)
    for rules in (FOLDING, REMAINING_SCALES, FUSION):
        passes.apply(graph, rules)
    return Graph(image, tuple(_with_names(graph)), metadata)


def _with_names(graph: passes.RewritableGraph) -> list[Operator]:
    """Return the operators with values numbered by kind: conv1, pool1, linear1."""
    counts: Counter[str] = Counter()
    names = {IMAGE: IMAGE}
    outputs = {name: key for key, name in graph.outputs.items()}
    for op in graph.operators:
        kind = VALUE_NAMES[type(op)]
        counts[kind] += 1
        names[op.output] = outputs.get(op.output, f"{kind}{counts[kind]}")
    assert {LOGITS, PROBABILITIES} <= {*names.values()}
    return [
        _as_float32(
            replace(op, output=names[op.output], sources=tuple(names[s] for s in op.sources))
        )
        for op in graph.operators
    ]


def _as_float32(op: Operator) -> Operator:
    """Return ``op`` with contiguous float32 weights; folding uses float64."""
    arrays: dict[str, Any] = {
        key: np.ascontiguousarray(value, np.float32)
        for key, value in vars(op).items()
        if isinstance(value, np.ndarray)
    }
    return replace(op, **arrays)


VALUE_NAMES: Mapping[type[Operator], str] = {
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
