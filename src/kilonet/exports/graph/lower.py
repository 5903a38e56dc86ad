"""From an ONNX file to the operator graph, without PyTorch.

One pass reads the nodes in order and computes everything that does not depend on the image
(shapes, indices, constants); ``simplify`` then folds batch norm and names the values.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from kilonet.errors import KilonetError, MissingExtraError
from kilonet.exports.graph.builder import Constant, GraphBuilder, Node, Tensor, Value
from kilonet.exports.graph.nodes import READERS
from kilonet.exports.graph.operators import (
    IMAGE,
    LOGITS,
    PROBABILITIES,
    Graph,
    Shape,
    UnsupportedOperatorError,
)
from kilonet.exports.graph.simplify import simplify

UINT8 = 2  # ONNX's number of the type


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
        raise MissingExtraError("train", str(error.name)) from None
    try:
        model = onnx.load(path)
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

    feeds = {name: value for name, value in zip(proto.input, inputs, strict=True) if name}
    any_type = [helper.make_tensor_value_info(name, 0, None) for name in feeds]
    results = [helper.make_tensor_value_info(name, 0, None) for name in proto.output]
    graph = helper.make_graph([proto], "constant", any_type, results)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    return [np.asarray(result) for result in ReferenceEvaluator(model).run(None, feeds)]


def _outputs(builder: GraphBuilder, path: Path) -> dict[str, str]:
    """Return the names of the values that are the network's outputs."""
    outputs = {}
    for name in (LOGITS, PROBABILITIES):
        value = builder.values.get(name)
        if not isinstance(value, Tensor) or len(value.image_shape) != 1:
            raise KilonetError(f'{path} has no output "{name}" N×K. Export the run again.')
        outputs[name] = value.name
    return outputs
