"""An ONNX model while it is written: nodes and weights, gathered and then checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from kilonet import __version__
from kilonet.errors import MissingExtraError
from kilonet.exports.graph.operators import IMAGE, Graph

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

        made = [
            helper.make_tensor_value_info(
                self.name(end), TensorProto.FLOAT, [axis, *graph.shape(end)]
            )
            for end in ends
        ]
        model = self._assembled(graph, image, made, axis)
        helper.set_model_props(model, dict(graph.metadata))
        onnx.checker.check_model(model, full_check=True)
        return model

    def run(self, graph: Graph, images: Any, value: str) -> list[Any]:
        """Return [what the int32 ``value`` is for uint8 ``images``], by what was gathered so far.

        Raises:
            MissingExtraError: onnxruntime is not installed.
        """
        from onnx import TensorProto, helper

        try:
            import onnxruntime
        except ImportError as error:
            raise MissingExtraError("train", str(error.name)) from None
        end = helper.make_tensor_value_info(self.name(value), TensorProto.INT32, None)
        model = self._assembled(graph, (IMAGE, TensorProto.UINT8), [end], "batch")
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # weights that are not used yet are no news
        session = onnxruntime.InferenceSession(model.SerializeToString(), options)
        return list(session.run(None, {IMAGE: images}))

    def _assembled(self, graph: Graph, image: tuple[str, int], ends: list[Any], axis: str) -> Any:
        from onnx import helper

        value, kind = image
        given = helper.make_tensor_value_info(self.name(value), kind, [axis, *graph.image])
        return helper.make_model(
            helper.make_graph(self.nodes, "kilonet", [given], ends, self.weights),
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="kilonet",
            producer_version=__version__,
        )
