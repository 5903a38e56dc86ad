"""ONNX Runtime's quantisation of the folded list."""

from __future__ import annotations

import logging
import sys

import numpy as np
import onnxruntime
import pytest
from networks import example, pictures

from kilonet.errors import MissingExtraError
from kilonet.exports.onnx_graph import onnx_model
from kilonet.exports.onnx_int8 import onnx_int8


@pytest.mark.parametrize("name", ["gap-14k", "simple-8k-plus", "excited"])
def test_close_smaller_and_of_the_same_interface(
    name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    found, images = example(name), pictures(20, seed=3)
    disabled = logging.root.manager.disable
    model = onnx_int8(found.graph, pictures(100))
    assert capfd.readouterr() == ("", "")
    assert logging.root.manager.disable == disabled
    kinds = {node.op_type for node in model.graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= kinds
    session = onnxruntime.InferenceSession(model.SerializeToString())
    assert session.get_inputs()[0].shape == ["batch", 1, 28, 28]
    assert [end.name for end in session.get_outputs()] == ["logits", "probabilities"]
    expected = found.logits(images)
    logits = session.run(["logits"], {"image": images})[0]
    assert np.square(logits - expected).mean() < 0.05 * expected.var(0).mean()
    assert {prop.key for prop in model.metadata_props} == {"classes"}


def test_weights_are_a_quarter() -> None:
    graph = example("two-conv-fc64").graph
    sizes = [len(model.SerializeToString()) for model in (
        onnx_int8(graph, pictures(16)), onnx_model(graph)
    )]  # fmt: skip
    assert sizes[0] < 0.3 * sizes[1]


def test_without_onnx_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match="onnxruntime"):
        onnx_int8(example("quick").graph, pictures(2))
