"""The typed list itself: what a graph says of its values, and of what a target lacks."""

from __future__ import annotations

import pytest
from networks import example

from kilonet.exports.graph import operators as ops
from kilonet.exports.graph.operators import Graph, Linear, Softmax, UnsupportedOperatorError


def test_a_target_that_lacks_operators_names_them_all() -> None:
    graph = example("simple-8k-plus").graph
    graph.require((ops.Operator,), "html")
    with pytest.raises(
        UnsupportedOperatorError, match=r"target abacus lacks .*: Add, Conv2d, .*SiLU\."
    ):
        graph.require((Linear, Softmax, ops.InputScaling), "abacus")


def test_users_and_shapes() -> None:
    graph = example("simple-8k").graph
    assert graph.shape("image") == (1, 28, 28)
    assert [type(op) for op in graph.users("logits")] == [Softmax]
    assert sum(len(graph.users(op.output)) == 2 for op in graph.operators) == 3  # the skips


def test_classes_are_numbers_where_the_file_does_not_name_them() -> None:
    graph = example("quick").graph
    for metadata in ({}, {"classes": "a,b"}):
        assert Graph(graph.image, graph.operators, metadata).classes == tuple("0123456789")
