"""Write the typed list of operators as an ONNX model: batch norm is folded, no unused node."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from kilonet import __version__
from kilonet.content import CHECKSUM_KEY, NO_CHECKSUM, with_checksum
from kilonet.exports.graph import operators as ops
from kilonet.exports.graph.operators import IMAGE, LOGITS, PROBABILITIES, Graph, Operator

OPSET = 18
"""The opset of every ONNX file that Kilonet writes."""

IR_VERSION = 10
"""The newest that ONNX Runtime 1.18 reads, the oldest version that Kilonet allows."""


def onnx_model(graph: Graph, *, raw: bool = False) -> Any:
    """Return the ``onnx.ModelProto`` of a network, for any batch size, checked by ``onnx.checker``.

    With ``raw``, the input is ``input``, float32 and already normalised, the output is ``output``,
    the logits, and the batch axis is "batch_size". Otherwise the input is ``image``, uint8, the
    outputs are ``logits`` and ``probabilities``, and the batch axis is "batch".
    """
    from onnx import TensorProto

    scaled = scaled_input(graph)
    builder = OnnxBuilder({scaled: "input", LOGITS: "output"} if raw else {})
    for op in graph.operators:
        if not (raw and isinstance(op, ops.InputScaling | ops.Softmax)):
            WRITERS[type(op)](builder, op)
    if raw:
        return builder.model(graph, (scaled, TensorProto.FLOAT), (LOGITS,), "batch_size")
    return builder.model(graph, (IMAGE, TensorProto.UINT8), (LOGITS, PROBABILITIES), "batch")


def serialised(model: Any) -> bytes:
    """Return the content of the ONNX file of an ``onnx.ModelProto``, with a checksum."""
    import onnx

    metadata = {entry.key: entry.value for entry in model.metadata_props}
    onnx.helper.set_model_props(model, {**metadata, CHECKSUM_KEY: NO_CHECKSUM})
    return with_checksum(model.SerializeToString())


def scaled_input(graph: Graph) -> str:
    """Return the name of the normalised input image."""
    return next(op.output for op in graph.operators if isinstance(op, ops.InputScaling))


def nodes_outside_network(graph: Graph) -> list[str]:
    """Return the names of the nodes that normalise pixels and that compute probabilities."""
    scaled = scaled_input(graph)
    return [_product(scaled), scaled, PROBABILITIES]


class OnnxBuilder:
    """Collects the nodes and weights of a model.

    ``names`` maps names of values in the graph to their names in the file; all others stay.
    """

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names
        self._nodes: list[Any] = []
        self._weights: list[Any] = []

    def node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> None:
        """Append a node that computes ``output``; the node has its name."""
        from onnx import helper

        name = self._name(output)
        sources = [self._name(value) for value in inputs]
        self._nodes.append(helper.make_node(kind, sources, [name], name=name, **attributes))

    def weight(self, name: str, values: npt.NDArray[Any]) -> str:
        """Add a constant, and return its name."""
        from onnx import numpy_helper

        self._weights.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def model(
        self, graph: Graph, image: tuple[str, int], outputs: tuple[str, ...], axis: str
    ) -> Any:
        """Return the checked ``onnx.ModelProto``.

        ``image`` is the name of the input value and its ONNX type; ``outputs`` are float32;
        ``axis`` is the name of the batch axis.
        """
        import onnx
        from onnx import TensorProto, helper

        def declare(value: str, kind: int) -> Any:
            shape: list[str | int | None] = [axis, *graph.shape(value)]
            return helper.make_tensor_value_info(self._name(value), kind, shape)

        results = [declare(value, TensorProto.FLOAT) for value in outputs]
        model = helper.make_model(
            helper.make_graph(self._nodes, "kilonet", [declare(*image)], results, self._weights),
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="kilonet",
            producer_version=__version__,
        )
        helper.set_model_props(model, dict(graph.metadata))
        onnx.checker.check_model(model, full_check=True)
        return model

    def _name(self, value: str) -> str:
        return self._names.get(value, value)


def _product(scaled: str) -> str:
    return f"{scaled}_times"


def _input_scaling(builder: OnnxBuilder, op: ops.InputScaling) -> None:
    pixels, product = f"{op.output}_pixels", _product(op.output)
    builder.node("Cast", [op.source], pixels, to=1)  # 1: float32
    scale = builder.weight(f"{op.output}_factor", op.scale.reshape(1, -1, 1, 1))
    offset = builder.weight(f"{op.output}_shift", op.offset.reshape(1, -1, 1, 1))
    builder.node("Mul", [pixels, scale], product)
    builder.node("Add", [product, offset], op.output)


def _conv2d(builder: OnnxBuilder, op: ops.Conv2d) -> None:
    weight = builder.weight(f"{op.output}_weight", op.weight)
    bias = builder.weight(f"{op.output}_bias", op.bias)
    _with_relu(
        builder,
        op,
        op.relu,
        "Conv",
        [op.source, weight, bias],
        kernel_shape=op.kernel,
        strides=op.stride,
        pads=op.padding,
        group=op.groups,
    )


def _linear(builder: OnnxBuilder, op: ops.Linear) -> None:
    weight = builder.weight(f"{op.output}_weight", op.weight)
    bias = builder.weight(f"{op.output}_bias", op.bias)
    _with_relu(builder, op, op.relu, "Gemm", [op.source, weight, bias], transB=1)


def _add(builder: OnnxBuilder, op: ops.Add) -> None:
    _with_relu(builder, op, op.relu, "Add", list(op.sources))


def _with_relu(
    builder: OnnxBuilder, op: Operator, relu: bool, kind: str, inputs: list[str], **attributes: Any
) -> None:
    before_relu = f"{op.output}_sums" if relu else op.output
    builder.node(kind, inputs, before_relu, **attributes)
    if relu:
        builder.node("Relu", [before_relu], op.output)


def _silu(builder: OnnxBuilder, op: ops.SiLU) -> None:
    gate = f"{op.output}_gate"
    builder.node("Sigmoid", [op.source], gate)
    builder.node("Mul", [op.source, gate], op.output)


def _reshape(builder: OnnxBuilder, op: ops.Reshape) -> None:
    shape = builder.weight(f"{op.output}_shape", np.array([-1, *op.shape], np.int64))
    builder.node("Reshape", [op.source, shape], op.output)


def _simple(kind: str, **attributes: Any) -> Callable[[OnnxBuilder, Operator], None]:
    """Return a function that writes an operator as one node with the same inputs."""

    def write(builder: OnnxBuilder, op: Operator) -> None:
        builder.node(kind, list(op.sources), op.output, **attributes)

    return write


def _max_pool(builder: OnnxBuilder, op: ops.MaxPool) -> None:
    window = {"kernel_shape": op.kernel, "strides": op.stride, "pads": op.padding}
    builder.node("MaxPool", [op.source], op.output, **window)


def _average_pool(builder: OnnxBuilder, op: ops.AvgPool) -> None:
    window = {"kernel_shape": op.kernel, "strides": op.stride}
    builder.node("AveragePool", [op.source], op.output, **window)


def _leaky_relu(builder: OnnxBuilder, op: ops.LeakyReLU) -> None:
    builder.node("LeakyRelu", [op.source], op.output, alpha=op.slope)


WRITERS: Mapping[type[Operator], Callable[[OnnxBuilder, Any], None]] = {
    ops.InputScaling: _input_scaling,
    ops.Conv2d: _conv2d,
    ops.Linear: _linear,
    ops.MaxPool: _max_pool,
    ops.AvgPool: _average_pool,
    ops.GlobalAvgPool: _simple("GlobalAveragePool"),
    ops.ReLU: _simple("Relu"),
    ops.LeakyReLU: _leaky_relu,
    ops.SiLU: _silu,
    ops.Sigmoid: _simple("Sigmoid"),
    ops.Add: _add,
    ops.Mul: _simple("Mul"),
    ops.Concat: _simple("Concat", axis=1),
    ops.Flatten: _simple("Flatten", axis=1),
    ops.Reshape: _reshape,
    ops.Softmax: _simple("Softmax", axis=1),
}
