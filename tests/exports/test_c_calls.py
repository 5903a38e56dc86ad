"""What channels have in common is stored once, and only that."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from compiled import SANITIZED, written
from networks import example, example_int8, pictures

from kilonet.exports.c.emit import emit
from kilonet.exports.c.schedule import shared_filters
from kilonet.exports.c.steps import one_per_orientation_group, split_common_factor
from kilonet.exports.graph import operators as ops
from kilonet.exports.graph.operators import Graph, Operator
from kilonet.exports.int8.interpret import interpret_int8
from kilonet.exports.int8.operators import QConv2d
from kilonet.exports.int8.quantise import quantise


def _weights(graph: Graph) -> int:
    return sum(op.weight.size for op in graph.operators if isinstance(op, ops.Conv2d | ops.Linear))


def _nearly(op: Operator) -> Operator:
    """Change one weight of a convolution, by a twentieth of the largest."""
    if not isinstance(op, ops.Conv2d):
        return op
    weight = op.weight.copy()
    weight[1, 0, 0, 0] += 0.05 * np.abs(weight[1]).max()
    return replace(op, weight=weight)


def test_a_quarter_is_stored() -> None:
    found = example("kilonet-4k")
    stored = sum(p.numel() for p in found.model.parameters())
    every = _weights(found.graph)
    assert every > 3.4 * stored
    assert emit(example_int8("kilonet-4k"), "net").weight_bytes < 1.4 * stored
    assert emit(found.graph, "net").weight_bytes < 0.4 * (4 * every)


def test_8k_fits_9_kilobytes() -> None:
    assert emit(example_int8("kilonet-8k"), "net").weight_bytes <= 9_000


@pytest.mark.compiler("gcc")
def test_nearly_rotated_filters_are_stored_in_full(tmp_path: Path) -> None:
    graph = example("kilonet-1k").graph
    other = Graph(graph.image, tuple(map(_nearly, graph.operators)), graph.metadata)
    integers = quantise(other, pictures(32))
    assert emit(other, "net").weight_bytes >= 4 * _weights(other)
    assert emit(integers, "net").weight_bytes >= _weights(other)
    made = written(emit(integers, "net"), tmp_path, integers, whole=True)
    answers = made.run(pictures(4), *SANITIZED)
    np.testing.assert_array_equal(answers.logits, interpret_int8(integers, pictures(4))["logits"])
    assert "_p4" not in made.folder.joinpath(made.file).read_text(encoding="utf-8")


def test_one_other_layer_leaves_the_rest_shared() -> None:
    graph = example("kilonet-1k").graph
    first = next(op for op in graph.operators if isinstance(op, ops.Conv2d) and op.depthwise)
    changed = tuple(_nearly(op) if op is first else op for op in graph.operators)
    found = quantise(Graph(graph.image, changed, graph.metadata), pictures(32))
    layers = [op for op in found.operators if isinstance(op, QConv2d)]
    shared = [op.output for op in layers if shared_filters(op)]
    assert len(shared) == len(layers) - 2  # it, and the last, which is plain
    assert first.output not in shared


def test_negative_factors_are_for_floats_alone() -> None:
    name = "p4-negative-scales"
    assert "conv2d_p4(" in emit(example(name).graph, "net").source
    signs = [op.weight for op in example(name).graph.operators if isinstance(op, ops.Conv2d)]
    assert signs
    found = example_int8(name)
    layers = [op for op in found.operators if isinstance(op, QConv2d)]
    assert any(shared_filters(op) is None for op in layers)


def test_ram_is_that_of_the_network_written_out() -> None:
    graph = example("kilonet-1k").graph
    other = Graph(graph.image, tuple(map(_nearly, graph.operators)), graph.metadata)
    for one, two in ((graph, other), (quantise(graph, pictures(8)), quantise(other, pictures(8)))):
        shared, full = emit(one, "net"), emit(two, "net")
        assert (shared.arena_bytes, shared.stack_bytes) == (full.arena_bytes, full.stack_bytes)


def test_numbers_in_common() -> None:
    values, unit = split_common_factor(np.array([6, -9, 0]))
    assert (values.tolist(), unit) == ([2, -3, 0], 3)
    assert split_common_factor(np.zeros(3, np.int16))[1] == 1
    once, shift = one_per_orientation_group(np.array([5, 5, 5, 5, 7, 7, 7, 7]))
    assert (once.tolist(), shift) == ([5, 7], True)
    every, shift = one_per_orientation_group(np.array([5, 5, 5, 6]))
    assert (every.tolist(), shift) == ([5, 5, 5, 6], False)
    assert not one_per_orientation_group(np.array([5, 5]))[1]
