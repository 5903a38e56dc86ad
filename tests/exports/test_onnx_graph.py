"""The list as ONNX again: the same function, in the two forms that are shipped."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import HealthCheck, given, settings
from networks import MEAN, NAMES, STD, example, pictures
from random_graphs import graphs

from kilonet.exports.graph.lower import lower
from kilonet.exports.onnx_graph import OPSET, onnx_model


def session(model: Any) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(model.SerializeToString())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("count", [1, 5])
def test_agrees_with_pytorch(name: str, count: int) -> None:
    found, images = example(name), pictures(count)
    model = onnx_model(found.graph)
    logits, probabilities = session(model).run(["logits", "probabilities"], {"image": images})
    np.testing.assert_allclose(logits, found.logits(images), atol=1e-4)
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-6)
    assert not {node.op_type for node in model.graph.node} & {"BatchNormalization", "Gather"}


@pytest.mark.parametrize("name", ["gap-14k", "excited"])
def test_raw(name: str) -> None:
    found, images = example(name), pictures(3)
    raw = session(onnx_model(found.graph, raw=True))
    assert [(end.name, end.type, end.shape) for end in raw.get_inputs()] == [
        ("input", "tensor(float)", ["batch_size", 1, 28, 28])
    ]
    assert [(end.name, end.type, end.shape) for end in raw.get_outputs()] == [
        ("output", "tensor(float)", ["batch_size", 10])
    ]
    normalised = ((images / 255 - MEAN[0]) / STD[0]).astype(np.float32)
    np.testing.assert_allclose(
        raw.run(None, {"input": normalised})[0], found.logits(images), atol=1e-4
    )


def test_interface_and_metadata() -> None:
    model = onnx_model(example("simple-8k").graph)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", OPSET)]
    assert {prop.key: prop.value for prop in model.metadata_props} == {
        "classes": "0,1,2,3,4,5,6,7,8,9"
    }
    found = session(model)
    assert [(end.name, end.type, end.shape) for end in found.get_inputs()] == [
        ("image", "tensor(uint8)", ["batch", 1, 28, 28])
    ]
    assert [end.name for end in found.get_outputs()] == ["logits", "probabilities"]


@given(graphs())
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
def test_lowering_what_was_written_gives_the_same_function(content: bytes) -> None:
    folder = example("quick").path.parent
    (folder / "random.onnx").write_bytes(content)
    first = lower(folder / "random.onnx")
    onnx.save(onnx_model(first), folder / "again.onnx")
    second = lower(folder / "again.onnx")
    images = np.random.default_rng(1).integers(0, 256, (2, *first.image), dtype=np.uint8)
    logits = [
        onnxruntime.InferenceSession(model).run(["logits"], {"image": images})[0]
        for model in (content, onnx_model(second).SerializeToString())
    ]
    np.testing.assert_allclose(*logits, rtol=1e-3, atol=1e-3 * (1 + np.abs(logits[0]).max()))
