"""ONNX files from anyone: each is a classifier, or refused in one message within limits."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from kilonet.inference import model as model_module
from kilonet.inference.model import ModelError, OnnxSession

SIDE = 28
LOGITS = (
    helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
    helper.make_node("Flatten", ["pixels"], ["flat"]),
    helper.make_node("MatMul", ["flat", "weight"], ["logits"]),
)
PROBABILITIES = helper.make_node("Softmax", ["logits"], ["probabilities"])


def write(
    path: Path,
    nodes: Sequence[onnx.NodeProto] = (*LOGITS, PROBABILITIES),
    *,
    weight: Any = None,
    constants: dict[str, Any] | None = None,
    classes: int = 10,
    declared: Sequence[Any] | None = None,
    kind: int = TensorProto.FLOAT,
    sides: tuple[int, int] = (SIDE, SIDE),
    metadata: dict[str, str] | None = None,
) -> Path:
    if weight is None:
        weight = np.random.default_rng(0).normal(0, 0.01, (SIDE * SIDE, classes))
    arrays = {"weight": np.asarray(weight, np.float32), **(constants or {})}
    weights = [numpy_helper.from_array(np.asarray(array), name) for name, array in arrays.items()]
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", 1, *sides])
    output = helper.make_tensor_value_info("probabilities", kind, declared or ["N", classes])
    graph = helper.make_graph(nodes, "g", [image], [output], weights)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(made, metadata or {})
    path.write_bytes(made.SerializeToString())
    return path


def after(kind: str, *more: str, **attributes: Any) -> tuple[onnx.NodeProto, ...]:
    """Return the nodes with one more, which makes the probabilities of the softmax's result."""
    softmax = helper.make_node("Softmax", ["logits"], ["p"])
    return (*LOGITS, softmax, helper.make_node(kind, ["p", *more], ["probabilities"], **attributes))


FILES: dict[str, tuple[dict[str, Any], str]] = {
    "a huge number of classes": ({"declared": ["N", 2_000_000_000]}, "65,536 classes"),
    "one class": ({"classes": 1}, "2 to 65,536"),
    "more classes than declared": ({"classes": 12, "declared": ["N", 10]}, "N×"),
    "fewer classes than declared": ({"classes": 10, "declared": ["N", 12]}, "N×"),
    "weights that are no numbers": ({"weight": np.full((784, 10), np.nan)}, "between 0 and 1"),
    "infinite weights": ({"weight": np.full((784, 10), np.inf)}, "between 0 and 1"),
    "a huge input": ({"sides": (200_000, 200_000)}, "at most 4,096|can be run"),
    "no probabilities": (
        {"nodes": after("Mul", "c"), "constants": {"c": np.float32(100)}},
        "between 0 and 1",
    ),
    "texts": (
        {"nodes": after("Cast", to=TensorProto.STRING), "kind": TensorProto.STRING},
        "float32",
    ),
    "three dimensions": (
        {
            "nodes": after("Unsqueeze", "axes"),
            "constants": {"axes": np.array([1])},
            "declared": ["N", 1, 10],
        },
        "N×K",
    ),
    "one row for all images": (
        {"nodes": after("ReduceMean", "axes"), "constants": {"axes": np.array([0])}},
        "for 2 images",
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_what_is_no_classifier_is_refused(tmp_path: Path, name: str) -> None:
    options, message = FILES[name]
    with pytest.raises(ModelError, match=message) as caught:
        OnnxSession(write(tmp_path / "model.onnx", **options))
    assert str(tmp_path / "model.onnx") in str(caught.value)


@pytest.mark.parametrize(
    "classes",
    [
        "[" * 100_000,
        '[{"a": 1}, null, 2, 3, 4, 5, 6, 7, 8, 9]',
        ",".join("a" * 10),
        ",".join(["x" * 100_000, *"abcdefghi"]),
    ],
)
def test_class_names_that_are_none_become_numbers(tmp_path: Path, classes: str) -> None:
    session = OnnxSession(write(tmp_path / "model.onnx", metadata={"classes": classes}))
    assert session.classes == tuple("0123456789")


def test_an_endless_loop_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_module, "RUN_SECONDS", 0.5)
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 10]) for name in "vw"]
    condition = [helper.make_tensor_value_info(name, TensorProto.BOOL, []) for name in "cd"]
    count = helper.make_tensor_value_info("i", TensorProto.INT64, [])
    nodes = [helper.make_node("Identity", [a], [b]) for a, b in ("cd", "vw")]
    body = helper.make_graph(nodes, "b", [count, condition[0], value[0]], [condition[1], value[1]])
    loop = helper.make_node("Loop", ["", "true", "logits"], ["looped"], body=body)
    softmax = helper.make_node("Softmax", ["looped"], ["probabilities"])
    path = write(
        tmp_path / "model.onnx", (*LOGITS, loop, softmax), constants={"true": np.array(True)}
    )
    began = time.monotonic()
    with pytest.raises(ModelError, match="cannot be used"):
        OnnxSession(path)
    assert time.monotonic() - began < 30
