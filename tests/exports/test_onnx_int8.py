"""Our own quantiser's layers as an ONNX file."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnxruntime
import pytest
from networks import example, pictures

from kilonet.exports.graph.operators import Graph, InputScaling, UnsupportedOperatorError
from kilonet.exports.int8.interpret import interpret_int8
from kilonet.exports.int8.quantise import quantise
from kilonet.exports.onnx_graph import onnx_model
from kilonet.exports.onnx_int8 import onnx_int8

NAMES = ("gap-14k", "simple-8k-plus", "kilonet-2k", "excited", "before-and-after", "joined")


def session_on(model: Any) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(model.SerializeToString())


@pytest.mark.parametrize("name", NAMES)
def test_no_worse_than_the_integer_network(name: str) -> None:
    found, calibration, images = example(name), pictures(100), pictures(40, seed=3)
    expected = found.logits(images)
    logits = session_on(onnx_int8(found.graph, calibration)).run(["logits"], {"image": images})[0]
    whole = quantise(found.graph, calibration)
    scale = whole.encodings["logits"].scale
    coarse = interpret_int8(whole, images)["logits"] * scale
    lost, lost_in_c = (np.square(values - expected).mean() for values in (logits, coarse))
    assert lost < 1.2 * lost_in_c
    assert lost < 0.02 * expected.var(0).mean()


@pytest.mark.parametrize("name", NAMES)
def test_every_layer_is_in_integers(name: str) -> None:
    found = example(name)
    model = onnx_int8(found.graph, pictures(20))
    kinds = [node.op_type for node in model.graph.node]
    layers = [op for op in found.graph.operators if hasattr(op, "weight")]
    assert kinds.count("ConvInteger") + kinds.count("MatMulInteger") == len(layers)
    assert not {"Conv", "Gemm", "MatMul"} & set(kinds)
    assert len({node.name for node in model.graph.node}) == len(kinds)


def test_the_interface_is_that_of_the_float_file() -> None:
    model = onnx_int8(example("gap-14k").graph, pictures(20))
    session = session_on(model)
    assert session.get_inputs()[0].shape == ["batch", 1, 28, 28]
    assert session.get_inputs()[0].type == "tensor(uint8)"
    assert [end.name for end in session.get_outputs()] == ["logits", "probabilities"]
    assert {prop.key for prop in model.metadata_props} == {"classes"}
    images = pictures(3, seed=5)
    logits, probabilities = session.run(None, {"image": images})
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)
    np.testing.assert_array_equal(probabilities.argmax(1), logits.argmax(1))


def test_weights_are_a_quarter() -> None:
    graph = example("two-conv-fc64").graph
    sizes = [len(model.SerializeToString()) for model in (
        onnx_int8(graph, pictures(16)), onnx_model(graph)
    )]  # fmt: skip
    assert sizes[0] < 0.3 * sizes[1]


def test_what_reads_the_image_beside_layers_gets_it_scaled() -> None:
    """Pooled before any layer, the image is no longer the bytes that came in."""
    found = example("pooled-first")
    model, images = onnx_int8(found.graph, pictures(50)), pictures(8, seed=3)
    logits = session_on(model).run(["logits"], {"image": images})[0]
    expected = found.logits(images)
    assert np.square(logits - expected).mean() < 0.02 * expected.var(0).mean()


def test_a_mean_that_is_no_byte() -> None:
    graph = example("quick").graph
    with pytest.raises(UnsupportedOperatorError, match="mean of the data"):
        onnx_int8(_shifted(graph, 300), pictures(10))


def _shifted(graph: Graph, grey: float) -> Graph:
    """Return the graph for data whose mean is ``grey`` levels."""
    operators = tuple(
        replace(op, offset=-grey * op.scale) if isinstance(op, InputScaling) else op
        for op in graph.operators
    )
    return replace(graph, operators=operators)
