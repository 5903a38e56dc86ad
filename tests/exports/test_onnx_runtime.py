"""ONNX Runtime's quantiser on our networks, and exported files on ONNX Runtime."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from networks import MEAN, STD, example, pictures

from kilonet.exports.graph.lower import lower
from kilonet.exports.onnx import export_onnx
from kilonet.exports.onnx_graph import OPSET, onnx_model
from kilonet.exports.onnx_runtime import BATCH, OnnxNetwork, quantise_onnx
from kilonet.exports.verify import RunnableExport
from kilonet.models.build import build
from kilonet.recipe.load import resolve

NAMES = ("gap-14k", "simple-8k-plus", "kilonet-2k", "excited", "before-and-after", "joined",
         "p4", "pooled-first")  # fmt: skip


def session_on(model: Any) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(model.SerializeToString())


@pytest.mark.parametrize("name", NAMES)
def test_int8_is_close_to_the_float_network(name: str) -> None:
    found, images = example(name), pictures(40, seed=3)
    model = quantise_onnx(found.graph, pictures(100))
    logits = session_on(model).run(["logits"], {"image": images})[0]
    expected = found.logits(images)
    # 15 random layers in a row with 7-bit weights; trained networks have a tenth of this error
    assert np.square(logits - expected).mean() < 0.03 * expected.var(0).mean()


@pytest.mark.parametrize("name", NAMES)
def test_every_layer_reads_and_stores_integers(name: str) -> None:
    """In QDQ form: inputs and weights of a layer are outputs of DequantizeLinear."""
    found = example(name)
    graph = quantise_onnx(found.graph, pictures(20)).graph
    made_by = {output: node for node in graph.node for output in node.output}
    stored = {tensor.name: tensor for tensor in graph.initializer}
    layers = [node for node in graph.node if node.op_type in ("Conv", "Gemm")]
    assert len(layers) == sum(hasattr(op, "weight") for op in found.graph.operators)
    for layer in layers:
        values, weights, bias = (made_by[name] for name in layer.input)
        assert {node.op_type for node in (values, weights, bias)} == {"DequantizeLinear"}
        assert made_by[values.input[0]].op_type == "QuantizeLinear"
        assert stored[weights.input[0]].data_type == onnx.TensorProto.INT8
        assert stored[bias.input[0]].data_type == onnx.TensorProto.INT32


def test_int8_weights_of_seven_bits_fit_every_processor() -> None:
    """AVX2 adds two uint8 × int8 products in int16; with 7-bit weights that cannot overflow."""
    model = quantise_onnx(example("gap-14k").graph, pictures(20))
    weights = [
        onnx.numpy_helper.to_array(tensor).astype(int)
        for tensor in model.graph.initializer
        if tensor.data_type == onnx.TensorProto.INT8 and len(tensor.dims) > 1
    ]
    assert weights
    assert max(2 * 255 * np.abs(weight).max() for weight in weights) < 2**15


def test_the_interface_is_that_of_the_float_file() -> None:
    model = quantise_onnx(example("gap-14k").graph, pictures(20))
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", OPSET)]
    session = session_on(model)
    assert session.get_inputs()[0].shape == ["batch", 1, 28, 28]
    assert session.get_inputs()[0].type == "tensor(uint8)"
    assert [end.name for end in session.get_outputs()] == ["logits", "probabilities"]
    assert {prop.key for prop in model.metadata_props} == {"classes"}
    images = pictures(3, seed=5)
    logits, probabilities = session.run(None, {"image": images})
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)
    np.testing.assert_array_equal(probabilities.argmax(1), logits.argmax(1))


def test_logits_are_not_rounded_to_bytes() -> None:
    images = pictures(300, seed=4)
    for name in ("gap-14k", "quick"):
        model = quantise_onnx(example(name).graph, pictures(20))
        logits = session_on(model).run(["logits"], {"image": images})[0]
        assert len(np.unique(logits)) > 1000


def test_int8_file_is_below_30_percent_of_the_float_file() -> None:
    graph = example("two-conv-fc64").graph
    sizes = [len(model.SerializeToString()) for model in (
        quantise_onnx(graph, pictures(16)), onnx_model(graph)
    )]  # fmt: skip
    assert sizes[0] < 0.3 * sizes[1]


def test_int8_in_colour(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = build(resolve("gap-iter0").recipe.model, (3, 32, 20), 47).eval()
    mean, std = (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)
    export_onnx(model, tmp_path / "model.onnx", (3, 32, 20), mean, std, {})
    images = pictures(30, (3, 32, 20))
    graph = lower(tmp_path / "model.onnx")
    expected, logits = (
        session_on(model).run(["logits"], {"image": images})[0]
        for model in (onnx_model(graph), quantise_onnx(graph, images))
    )
    assert np.square(logits - expected).mean() < 0.03 * expected.var(0).mean()


def test_quantising_is_deterministic_and_does_not_change_logging(
    capfd: pytest.CaptureFixture[str],
) -> None:
    filters, disabled = list(warnings.filters), logging.root.manager.disable
    handlers = list(logging.root.handlers)
    graph = example("excited").graph
    first, second = (quantise_onnx(graph, pictures(16)).SerializeToString() for _ in range(2))
    assert first == second
    assert capfd.readouterr() == ("", "")
    assert (warnings.filters, logging.root.manager.disable) == (filters, disabled)
    assert logging.root.handlers == handlers


@pytest.mark.parametrize("raw", [False, True])
def test_logits_of_more_than_a_batch(raw: bool, tmp_path: Path) -> None:
    found, images = example("quick"), pictures(BATCH + 3)
    onnx.save(onnx_model(found.graph, raw=raw), tmp_path / "model.onnx")
    network = OnnxNetwork(tmp_path / "model.onnx", raw, MEAN, STD)
    np.testing.assert_allclose(network.logits(images), found.logits(images), atol=1e-4)
    runnable: RunnableExport = network
    assert runnable.one(images[:1]) is None  # the time of the call counts, not one by its own clock
