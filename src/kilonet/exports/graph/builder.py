"""The state while an ONNX graph is read: known values, operators so far, attributes of nodes."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil
from typing import Any

import numpy.typing as npt

from kilonet.exports.graph.operators import (
    Operator,
    Padding,
    Pair,
    Shape,
    UnsupportedOperatorError,
)

Constant = npt.NDArray[Any]


@dataclass(frozen=True)
class Tensor:
    """A value that depends on the image: its name in the graph, its shape with a batch of 1."""

    name: str
    shape: Shape

    @property
    def image_shape(self) -> Shape:
        """The shape without the batch dimension, if there is one."""
        batched = len(self.shape) > 1 and self.shape[0] == 1
        return self.shape[1:] if batched else self.shape


Value = Tensor | Constant


@dataclass
class GraphBuilder:
    """The values known so far, by their ONNX names, and the operators that compute them."""

    values: dict[str, Value]
    operators: list[Operator] = field(default_factory=list)

    def add(
        self, kind: type[Operator], output: str, shape: Shape, *sources: Tensor, **rest: Any
    ) -> Tensor:
        """Append an operator with the output shape ``shape`` in ONNX; return its output."""
        tensor = Tensor(output, shape)
        names = tuple(source.name for source in sources)
        self.operators.append(kind(output=output, sources=names, shape=tensor.image_shape, **rest))
        return tensor


class Node:
    """A node of an ONNX graph: kind, first output, attributes."""

    def __init__(self, proto: Any) -> None:
        from onnx import helper

        self.kind: str = proto.op_type if not proto.domain else f"{proto.domain}.{proto.op_type}"
        self.output: str = proto.output[0]
        self.name: str = proto.name or self.output
        self._attributes = {a.name: helper.get_attribute_value(a) for a in proto.attribute}

    def get(self, name: str, default: Any = None) -> Any:
        """Return an attribute, or ``default`` if the node does not have it."""
        return self._attributes.get(name, default)

    def unsupported(self, what: str) -> UnsupportedOperatorError:
        """Return the error that this node uses ``what``, which no operator supports."""
        return UnsupportedOperatorError(
            f'The network uses the operator {self.kind} (node "{self.name}") with {what}, '
            "which only ONNX exports support."
        )


def pair(values: Any) -> Pair:
    """Return ``values``, two numbers, as integers."""
    first, second = values
    return int(first), int(second)


def window_counts(sides: tuple[int, ...], kernel: Pair, stride: Pair, padding: Padding) -> Pair:
    """Return how many windows fit vertically and horizontally."""
    height = (sides[0] + padding[0] + padding[2] - kernel[0]) // stride[0] + 1
    width = (sides[1] + padding[1] + padding[3] - kernel[1]) // stride[1] + 1
    return height, width


def padding_of(node: Node, sides: tuple[int, ...], kernel: Pair, stride: Pair) -> Padding:
    """Return a node's padding (top, left, bottom, right), as PyTorch's exporter writes it.

    ``ceil_mode`` adds padding at the bottom and the right up to the end of the last window.
    """
    if node.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
        raise node.unsupported("automatic padding")
    top, left, bottom, right = (int(side) for side in node.get("pads", (0, 0, 0, 0)))
    if not node.get("ceil_mode", 0):
        return top, left, bottom, right
    return (
        top,
        left,
        bottom + _overhang(sides[0], top, bottom, kernel[0], stride[0]),
        right + _overhang(sides[1], left, right, kernel[1], stride[1]),
    )


def _overhang(side: int, before: int, after: int, length: int, step: int) -> int:
    """Return how far ceil mode's last window extends past the end; it must start inside."""
    count = ceil((side + before + after - length) / step) + 1
    if (count - 1) * step >= side + before:
        count -= 1
    return max((count - 1) * step + length - side - before - after, 0)
