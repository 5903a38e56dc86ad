"""A classifier in an ONNX file that knows a 0 and a 1 by heart, for tests of what is around it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from kilonet.preprocessing import prepare


def ring(path: Path, count: int = 1) -> Path:
    """Write a picture of some drawn zeros, side by side."""
    y, x = np.mgrid[-1:1:90j, -1:1:70j]
    one = np.abs(np.hypot(x / 0.55, y / 0.75) - 1) < 0.18
    Image.fromarray(np.where(np.hstack([one] * count), 20, 240).astype(np.uint8)).save(path)
    return path


def write_classifier(path: Path, classes: str = "0,1,2,3,4,5,6,7,8,9") -> Path:
    """Write a network that compares the pixels with those of a prepared 0 and 1."""
    bar = np.zeros((90, 70), dtype=np.uint8)
    bar[10:80, 32:38] = 255
    shapes = [prepare(ring(path.with_suffix(".png"))), prepare(bar)]
    path.with_suffix(".png").unlink()
    weights = np.zeros((784, 10), dtype=np.float32)
    for digit, shape in enumerate(shapes):
        weights[:, digit] = (shape / np.linalg.norm(shape.astype(float)) / 255).ravel()
    nodes = [
        helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["pixels"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"]),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", 1, 28, 28])
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 10])
        for name in ("logits", "probabilities")
    ]
    graph = helper.make_graph(
        nodes, "templates", [image], ends, [numpy_helper.from_array(weights, "weights")]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(model, {"classes": classes})
    onnx.save(model, path)
    return path
