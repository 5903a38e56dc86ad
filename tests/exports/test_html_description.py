"""A graph as JSON."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import numpy as np
from networks import example

from kilonet.exports.graph import operators as ops
from kilonet.exports.html.description import Description, describe


def test_every_weight_is_there_once() -> None:
    graph = example("simple-8k").graph
    found = json.loads(describe(graph))
    numbers = np.frombuffer(base64.b64decode(found["weights"]), "<f4")
    at = 0
    for op, described in zip(graph.operators, found["operators"], strict=True):
        assert described["kind"] == type(op).__name__
        assert (described["output"], described["shape"]) == (op.output, [*op.shape])
        for key, value in vars(op).items():
            if isinstance(value, np.ndarray):
                assert described[key] == {"at": at, "length": value.size}
                np.testing.assert_array_equal(numbers[at : at + value.size], value.ravel())
                at += value.size
        if isinstance(op, ops.Conv2d):
            assert described["kernel"] == [*op.kernel]
    assert at == len(numbers)


def test_of_turned_filters_one_of_four_is_there() -> None:
    whole = sum(
        op.weight.size for op in example("kilonet-2k").graph.operators if isinstance(op, ops.Conv2d)
    )
    found = json.loads(describe(example("kilonet-2k").graph))
    p4 = [op["p4"] for op in found["operators"] if "p4" in op]
    assert len(p4) > 10
    assert all(filters["regular"] for filters in p4 if filters["inputs"] > 1)
    stored = base64.b64decode(found["weights"])
    assert Description(example("kilonet-2k").graph).weights == len(stored) // 4
    assert len(stored) < 0.5 * 4 * whole


def test_no_text_ends_its_element() -> None:
    classes = ",".join(["</script>", *map(str, range(1, 10))])
    text = describe(replace(example("quick").graph, metadata={"classes": classes}))
    assert "<" not in text
    assert json.loads(text)["classes"][0] == "</script>"
