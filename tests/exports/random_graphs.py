"""ONNX files made by Hypothesis: chains of nodes with skips, from "image" to "probabilities"."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper


class Builder:
    """A graph that grows; ``shape`` is (C, H, W) of the value made last."""

    def __init__(self, seed: int, shape: tuple[int, int, int]) -> None:
        self.generator = np.random.default_rng(seed)
        self.image, self.shape, self.last = shape, shape, "image"
        self.nodes: list[Any] = []
        self.weights: list[Any] = []

    def constant(self, array: Any) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def normal(self, *shape: int, spread: float = 1.0) -> str:
        return self.constant(self.generator.normal(0, spread, shape).astype(np.float32))

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        output = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        self.last = output
        return output

    def model(self) -> bytes:
        graph = helper.make_graph(
            self.nodes,
            "random",
            [helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", *self.image])],
            [
                helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 5])
                for name in ("logits", "probabilities")
            ],
            self.weights,
        )
        opsets = [helper.make_opsetid("", 18)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
        onnx.checker.check_model(model, full_check=True)
        content: bytes = model.SerializeToString()
        return content


def _conv(build: Builder, draw: Any) -> None:
    channels, height, width = build.shape
    kernel = [draw(st.integers(1, min(3, side))) for side in (height, width)]
    pads = [draw(st.integers(0, kernel[i % 2] - 1)) for i in range(4)]
    strides = [draw(st.integers(1, 2)) for _ in range(2)]
    groups = draw(st.sampled_from([1, channels]))
    out = channels if groups > 1 else draw(st.integers(1, 4))
    spread = 1 / np.sqrt(channels // groups * kernel[0] * kernel[1])
    inputs = [build.last, build.normal(out, channels // groups, *kernel, spread=spread)]
    if draw(st.booleans()):
        inputs.append(build.normal(out))
    build.node("Conv", *inputs, pads=pads, strides=strides, group=groups)
    sides = [
        (side + pads[i] + pads[i + 2] - kernel[i]) // strides[i] + 1
        for i, side in enumerate((height, width))
    ]
    build.shape = (out, *sides)


def _norm(build: Builder, draw: Any) -> None:
    channels = build.shape[0]
    variance = build.constant(build.generator.uniform(0.5, 2, channels).astype(np.float32))
    numbers = [build.normal(channels) for _ in range(3)]
    build.node("BatchNormalization", build.last, *numbers, variance)


def _pool(build: Builder, draw: Any) -> None:
    channels, height, width = build.shape
    kernel = [draw(st.integers(1, min(3, side))) for side in (height, width)]
    strides = [draw(st.integers(1, 2)) for _ in range(2)]
    kind = draw(st.sampled_from(["MaxPool", "AveragePool"]))
    build.node(kind, build.last, kernel_shape=kernel, strides=strides)
    sides = [(side - kernel[i]) // strides[i] + 1 for i, side in enumerate((height, width))]
    build.shape = (channels, *sides)


def _activation(build: Builder, draw: Any) -> None:
    kind = draw(st.sampled_from(["Relu", "LeakyRelu", "Sigmoid", "SiLU"]))
    if kind == "SiLU":
        x = build.last
        build.node("Mul", x, build.node("Sigmoid", x))
    else:
        build.node(kind, build.last)


def _skip(build: Builder, draw: Any) -> None:
    """A branch that keeps the shape, added to, multiplied with or put beside its start."""
    start, (channels, height, width) = build.last, build.shape
    weight = build.normal(channels, channels, 3, 3, spread=1 / np.sqrt(9 * channels))
    build.node("Conv", start, weight, pads=[1] * 4)
    if draw(st.booleans()):
        _norm(build, draw)
    _activation(build, draw)
    how = draw(st.sampled_from(["Add", "Mul", "Concat"]))
    if how == "Concat" and channels <= 4:
        build.node("Concat", start, build.last, axis=1)
        build.shape = (2 * channels, height, width)
    else:
        build.node("Add" if how == "Concat" else how, start, build.last)


def _excite(build: Builder, draw: Any) -> None:
    start, channels = build.last, build.shape[0]
    mean = build.node("GlobalAveragePool", start)
    weight = build.normal(channels, channels, 1, 1)
    gate = build.node("Sigmoid", build.node("Conv", mean, weight))
    build.node("Mul", start, gate)


STEPS = (_conv, _norm, _pool, _activation, _skip, _excite)


@st.composite
def graphs(draw: Any) -> bytes:
    """Return an ONNX model of uint8 images to five classes, as bytes."""
    shape = (draw(st.integers(1, 2)), draw(st.integers(1, 9)), draw(st.integers(1, 9)))
    build = Builder(draw(st.integers(0, 999)), shape)
    build.node("Cast", "image", to=TensorProto.FLOAT)
    build.node("Div", build.last, build.constant(np.float32(255)))
    build.node("Sub", build.last, build.constant(np.full((1, shape[0], 1, 1), 0.3, np.float32)))
    for step in draw(st.lists(st.sampled_from(STEPS), max_size=6)):
        step(build, draw)
    if draw(st.booleans()):
        build.node("ReduceMean", build.last, build.constant(np.array([-1, -2])), keepdims=1)
        build.shape = (build.shape[0], 1, 1)
    build.node("Flatten", build.last)
    values = int(np.prod(build.shape))
    inputs = [build.normal(5, values, spread=1 / np.sqrt(values)), build.normal(5)]
    build.nodes.append(helper.make_node("Gemm", [build.last, *inputs], ["logits"], transB=1))
    build.nodes.append(helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1))
    return build.model()
