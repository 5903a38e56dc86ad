"""An ONNX model while it is written: nodes and weights, gathered and then checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from kilonet import __version__
from kilonet.exports.graph.operators import Graph

OPSET = 18
"""That of the file in every run (``onnx.OPSET``), for one set of operators everywhere."""

IR_VERSION = 10
"""What ONNX Runtime reads since 1.18, the oldest that is allowed."""


class Writer:
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

    def model(self, graph: Graph, image: tuple[str, int], ends: tuple[str, ...], axis: str) -> Any:
        """Return the checked ``onnx.ModelProto`` of what was gathered.

        ``image`` is the value that comes in, with its ONNX type; ``ends`` go out, in float32; the
        batch axis is called ``axis``.
        """
        import onnx
        from onnx import TensorProto, helper

        value, kind = image
        given = helper.make_tensor_value_info(self.name(value), kind, [axis, *graph.image])
        made = [
            helper.make_tensor_value_info(
                self.name(end), TensorProto.FLOAT, [axis, *graph.shape(end)]
            )
            for end in ends
        ]
        model = helper.make_model(
            helper.make_graph(self.nodes, "kilonet", [given], made, self.weights),
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="kilonet",
            producer_version=__version__,
        )
        helper.set_model_props(model, dict(graph.metadata))
        onnx.checker.check_model(model, full_check=True)
        return model
