"""The typed list as an ONNX model again: batch norm folded, nothing in it that is not needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from kilonet import __version__
from kilonet.exports.graph import operators as ops
from kilonet.exports.graph.operators import IMAGE, LOGITS, PROBABILITIES, Graph, Operator

OPSET = 18
"""That of the file in every run (``onnx.OPSET``), for one set of operators everywhere."""

IR_VERSION = 10
"""What ONNX Runtime reads since 1.18, the oldest that is allowed."""


class _Writer:
    """Nodes and weights while they are gathered; ``names`` are the values' in ONNX."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self.names = names
        self.nodes: list[Any] = []
        self.weights: list[Any] = []

    def name(self, value: str) -> str:
        """Return what a value is called in the file."""
        return self.names.get(value, value)

    def node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> None:
        """Append a node that makes ``output``."""
        from onnx import helper

        name = self.name(output)
        given = [self.name(value) for value in inputs]
        self.nodes.append(helper.make_node(kind, given, [name], name=name, **attributes))

    def weight(self, name: str, values: npt.NDArray[Any]) -> str:
        """Add a constant, and return its name."""
        from onnx import numpy_helper

        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name


def onnx_model(graph: Graph, *, raw: bool = False) -> Any:
    """Return the ``onnx.ModelProto`` of a network, any number of pictures a batch, checked.

    ``raw``: float32 ``input``, which is normalised already, to ``output``, the logits, with the
    batch axis "batch_size". Otherwise uint8 ``image`` to ``logits`` and ``probabilities``, with
    the axis "batch".
    """
    import onnx
    from onnx import TensorProto, helper

    operators = [op for op in graph.operators if not (raw and _is_end(op))]
    scaled = next(op.output for op in graph.operators if isinstance(op, ops.InputScaling))
    writer = _Writer({scaled: "input", LOGITS: "output"} if raw else {})
    for op in operators:
        NODES[type(op)](writer, op)
    axis, kind = ("batch_size", TensorProto.FLOAT) if raw else ("batch", TensorProto.UINT8)
    outputs = (LOGITS,) if raw else (LOGITS, PROBABILITIES)
    model = helper.make_model(
        helper.make_graph(
            writer.nodes,
            "kilonet",
            [
                helper.make_tensor_value_info(
                    writer.name(scaled if raw else IMAGE), kind, [axis, *graph.image]
                )
            ],
            [
                helper.make_tensor_value_info(
                    writer.name(output), TensorProto.FLOAT, [axis, *graph.shape(output)]
                )
                for output in outputs
            ],
            writer.weights,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="kilonet",
        producer_version=__version__,
    )
    helper.set_model_props(model, dict(graph.metadata))
    onnx.checker.check_model(model, full_check=True)
    return model


def _is_end(op: Operator) -> bool:
    return isinstance(op, ops.InputScaling | ops.Softmax)


def _input_scaling(writer: _Writer, op: ops.InputScaling) -> None:
    pixels, times = f"{op.output}_pixels", f"{op.output}_times"
    writer.node("Cast", [op.source], pixels, to=1)  # 1: float32
    scale = writer.weight(f"{op.output}_factor", op.scale.reshape(1, -1, 1, 1))
    offset = writer.weight(f"{op.output}_shift", op.offset.reshape(1, -1, 1, 1))
    writer.node("Mul", [pixels, scale], times)
    writer.node("Add", [times, offset], op.output)


def _conv2d(writer: _Writer, op: ops.Conv2d) -> None:
    weight = writer.weight(f"{op.output}_weight", op.weight)
    bias = writer.weight(f"{op.output}_bias", op.bias)
    _with_relu(
        writer,
        op,
        op.relu,
        "Conv",
        [op.source, weight, bias],
        kernel_shape=op.kernel,
        strides=op.stride,
        pads=op.padding,
        group=op.groups,
    )


def _linear(writer: _Writer, op: ops.Linear) -> None:
    weight = writer.weight(f"{op.output}_weight", op.weight)
    bias = writer.weight(f"{op.output}_bias", op.bias)
    _with_relu(writer, op, op.relu, "Gemm", [op.source, weight, bias], transB=1)


def _add(writer: _Writer, op: ops.Add) -> None:
    _with_relu(writer, op, op.relu, "Add", list(op.sources))


def _with_relu(
    writer: _Writer, op: Operator, relu: bool, kind: str, inputs: list[str], **attributes: Any
) -> None:
    made = f"{op.output}_sums" if relu else op.output
    writer.node(kind, inputs, made, **attributes)
    if relu:
        writer.node("Relu", [made], op.output)


def _silu(writer: _Writer, op: ops.SiLU) -> None:
    gate = f"{op.output}_gate"
    writer.node("Sigmoid", [op.source], gate)
    writer.node("Mul", [op.source, gate], op.output)


def _reshape(writer: _Writer, op: ops.Reshape) -> None:
    shape = writer.weight(f"{op.output}_shape", np.array([-1, *op.shape], np.int64))
    writer.node("Reshape", [op.source, shape], op.output)


def _simple(kind: str, **attributes: Any) -> Callable[[_Writer, Operator], None]:
    """Return the writer of a node of the same inputs."""

    def write(writer: _Writer, op: Operator) -> None:
        writer.node(kind, list(op.sources), op.output, **attributes)

    return write


def _max_pool(writer: _Writer, op: ops.MaxPool) -> None:
    window = {"kernel_shape": op.kernel, "strides": op.stride, "pads": op.padding}
    writer.node("MaxPool", [op.source], op.output, **window)


def _average_pool(writer: _Writer, op: ops.AvgPool) -> None:
    window = {"kernel_shape": op.kernel, "strides": op.stride}
    writer.node("AveragePool", [op.source], op.output, **window)


def _leaky_relu(writer: _Writer, op: ops.LeakyReLU) -> None:
    writer.node("LeakyRelu", [op.source], op.output, alpha=op.slope)


NODES: Mapping[type[Operator], Callable[[_Writer, Any], None]] = {
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
