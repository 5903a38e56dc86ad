"""From an ONNX file to the operator graph, without PyTorch.

One pass reads the nodes in order and computes everything that does not depend on the image
(shapes, indices, constants). ``simplify`` then folds batch norm, fuses activations and names the
values.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from kilonet.content import CHECKSUM_KEY, is_intact, read_content
from kilonet.errors import KilonetError
from kilonet.exports.graph import operators as ops
from kilonet.exports.graph import passes
from kilonet.exports.graph.builder import Constant, GraphBuilder, Node, Tensor, Value
from kilonet.exports.graph.nodes import READERS
from kilonet.exports.graph.operators import (
    IMAGE,
    LOGITS,
    PROBABILITIES,
    Graph,
    Operator,
    Shape,
    UnsupportedOperatorError,
)
from kilonet.extras import import_failure

UINT8 = 2  # ONNX's number of the type
CONTROL_FLOW = ("If", "Loop", "Scan")
GROWING = ("ConstantOfShape", "Expand", "Pad", "Range", "Resize", "Tile", "Upsample")
MAX_CONSTANT = 2**26  # elements

FOLDING: tuple[passes.Rule, ...] = (
    passes.remove_views,
    passes.convolution_to_linear,
    passes.move_view_after_pointwise,
    passes.fuse_silu,
    passes.merge_scales,
    passes.fold_scale_backward,
    passes.move_scale_before,
    passes.fold_scale_forward,
)
REMAINING_SCALES: tuple[passes.Rule, ...] = (
    passes.scale_to_convolution,
    passes.scale_to_linear,
    passes.remove_views,
)
FUSION: tuple[passes.Rule, ...] = (
    passes.remove_second_relu,
    passes.move_relu_before_max_pool,
    passes.fuse_relu,
)

VALUE_NAMES: Mapping[type[Operator], str] = {
    ops.InputScaling: "scaled",
    ops.Conv2d: "conv",
    ops.Linear: "linear",
    ops.MaxPool: "pool",
    ops.AvgPool: "pool",
    ops.GlobalAvgPool: "mean",
    ops.ReLU: "relu",
    ops.LeakyReLU: "leaky",
    ops.SiLU: "silu",
    ops.Sigmoid: "sigmoid",
    ops.Add: "sum",
    ops.Mul: "product",
    ops.Concat: "joined",
    ops.Flatten: "flat",
    ops.Reshape: "reshaped",
    ops.Softmax: "softmax",
}


def lower(path: Path) -> Graph:
    """Return the operator graph of the network in the ONNX file ``path``.

    ``export_onnx`` writes such files, with the input ``image``, uint8 N×C×H×W, and the outputs
    ``logits`` and ``probabilities``.

    Raises:
        KilonetError: the file does not exist, is damaged or has other inputs or outputs.
        UnsupportedOperatorError: no operator supports one of the nodes; the message names it.
        MissingExtraError: onnx is not installed.
    """
    model = load_onnx(path)
    opset = next(entry.version for entry in model.opset_import if not entry.domain)
    builder = GraphBuilder({tensor.name: _array(tensor) for tensor in model.graph.initializer})
    image = _image_shape(model, path)
    builder.values[IMAGE] = Tensor(IMAGE, (1, *image))
    for proto in model.graph.node:
        _read(builder, proto, opset)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    metadata.pop(CHECKSUM_KEY, None)
    return simplify(image, builder.operators, _outputs(builder, path), metadata)


def load_onnx(path: Path) -> Any:
    """Return the ``onnx.ModelProto`` in ``path``.

    Raises:
        KilonetError: the file does not exist or is not an ONNX model.
        MissingExtraError: onnx is not installed.
    """
    try:
        import onnx
    except ImportError as error:
        raise import_failure("train", "onnx", error) from None
    try:
        content = read_content(path)
        if not is_intact(content):
            raise ValueError("its checksum does not fit")
        model = onnx.load_from_string(content)
        onnx.checker.check_model(model)
    except OSError as error:
        raise KilonetError(f"{path} cannot be read: {error.strerror or error}.") from None
    except Exception as error:  # protobuf has its own exception types
        first = (str(error).splitlines() or [""])[0]
        raise KilonetError(f"{path} is damaged: it is not an ONNX model ({first}).") from None
    return model


def _array(tensor: Any) -> Constant:
    from onnx import numpy_helper

    array: Constant = numpy_helper.to_array(tensor)
    return array


def _image_shape(model: Any, path: Path) -> Shape:
    inputs = {entry.name: entry.type.tensor_type for entry in model.graph.input}
    sides = [side.dim_value for side in inputs[IMAGE].shape.dim] if IMAGE in inputs else []
    if len(sides) != 4 or min(sides[1:]) < 1 or inputs[IMAGE].elem_type != UINT8:
        raise KilonetError(
            f'{path} has no input "{IMAGE}" of uint8 pixels N×C×H×W. '
            "Export the run again: kilonet export RUN --to onnx"
        )
    return tuple(sides[1:])


def _read(builder: GraphBuilder, proto: Any, opset: int) -> None:
    """Compute a node with constant inputs, or add its operator."""
    inputs = [builder.values.get(name) for name in proto.input]
    if not any(isinstance(value, Tensor) for value in inputs):
        results = _evaluate(proto, inputs, opset)
        builder.values |= dict(zip(proto.output, results, strict=True))
        return
    node = Node(proto)
    if node.kind not in READERS:
        raise UnsupportedOperatorError(
            f'The network uses the operator {node.kind} (node "{node.name}"), which only '
            f"ONNX exports support. Supported are {', '.join(sorted(READERS))}."
        )
    builder.values[node.output] = READERS[node.kind](builder, node, inputs)


def _evaluate(proto: Any, inputs: list[Value | None], opset: int) -> list[Constant]:
    """Return the outputs of a node that does not depend on the image."""
    from onnx import helper
    from onnx.reference import ReferenceEvaluator

    _require_bounded(proto, inputs)
    feeds = {name: value for name, value in zip(proto.input, inputs, strict=True) if name}
    any_type = [helper.make_tensor_value_info(name, 0, None) for name in feeds]
    results = [helper.make_tensor_value_info(name, 0, None) for name in proto.output]
    graph = helper.make_graph([proto], "constant", any_type, results)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    return [np.asarray(result) for result in ReferenceEvaluator(model).run(None, feeds)]


def _require_bounded(proto: Any, inputs: list[Value | None]) -> None:
    """Refuse to compute a constant that may take for ever, or may have any size.

    Raises:
        UnsupportedOperatorError: the node is of such a kind.
    """
    arrays = [value for value in inputs if isinstance(value, np.ndarray) and value.size <= 16]
    sizes = [each for each in arrays if each.dtype.kind == "i" or proto.op_type == "Range"]
    large = any(np.prod(np.abs(size.astype(float))) > MAX_CONSTANT for size in sizes)
    if proto.op_type in CONTROL_FLOW or (proto.op_type in GROWING and large):
        raise UnsupportedOperatorError(
            f"A constant of the network is made by the operator {proto.op_type} (node "
            f'"{proto.name}"), which may have any size. Only ONNX exports support it.'
        )


def _outputs(builder: GraphBuilder, path: Path) -> dict[str, str]:
    """Return the names of the values that are the network's outputs."""
    outputs = {}
    for name in (LOGITS, PROBABILITIES):
        value = builder.values.get(name)
        if not isinstance(value, Tensor) or len(value.image_shape) != 1:
            raise KilonetError(f'{path} has no output "{name}" N×K. Export the run again.')
        outputs[name] = value.name
    return outputs


def simplify(
    image: Shape,
    operators: Sequence[Operator],
    outputs: Mapping[str, str],
    metadata: Mapping[str, str],
) -> Graph:
    """Return the graph of ``operators`` without any ``Scale``.

    ``outputs`` maps "logits" and "probabilities" to the names of their values.
    """
    graph = passes.RewritableGraph(operators, outputs)
    for rules in (FOLDING, REMAINING_SCALES, FUSION):
        passes.apply(graph, rules)
    return Graph(image, tuple(_with_names(graph)), metadata)


def _with_names(graph: passes.RewritableGraph) -> list[Operator]:
    """Return the operators with values numbered by kind: conv1, pool1, linear1."""
    counts: Counter[str] = Counter()
    names = {IMAGE: IMAGE}
    outputs = {name: key for key, name in graph.outputs.items()}
    for op in graph.operators:
        kind = VALUE_NAMES[type(op)]
        counts[kind] += 1
        names[op.output] = outputs.get(op.output, f"{kind}{counts[kind]}")
    assert {LOGITS, PROBABILITIES} <= {*names.values()}
    return [
        _as_float32(
            replace(op, output=names[op.output], sources=tuple(names[s] for s in op.sources))
        )
        for op in graph.operators
    ]


def _as_float32(op: Operator) -> Operator:
    """Return ``op`` with contiguous float32 weights; folding uses float64."""
    arrays: dict[str, Any] = {
        key: np.ascontiguousarray(value, np.float32)
        for key, value in vars(op).items()
        if isinstance(value, np.ndarray)
    }
    return replace(op, **arrays)
