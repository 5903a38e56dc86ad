"""What an ONNX node says of itself, and ONNX's rules for paddings and sizes."""

from __future__ import annotations

from math import ceil
from typing import Any

from kilonet.exports.graph.operators import UnsupportedOperatorError

Pair = tuple[int, int]
Padding = tuple[int, int, int, int]


class Node:
    """A node of an ONNX graph: its kind, its first output and its attributes."""

    def __init__(self, proto: Any) -> None:
        from onnx import helper

        self.kind: str = proto.op_type if not proto.domain else f"{proto.domain}.{proto.op_type}"
        self.output: str = proto.output[0]
        self.name: str = proto.name or self.output
        self._attributes = {a.name: helper.get_attribute_value(a) for a in proto.attribute}

    def get(self, name: str, default: Any = None) -> Any:
        """Return an attribute, or ``default`` where it is not written."""
        return self._attributes.get(name, default)

    def unsupported(self, what: str) -> UnsupportedOperatorError:
        """Return the error that this node has ``what``, which cannot be said otherwise."""
        return UnsupportedOperatorError(
            f'The network uses the operator {self.kind} (node "{self.name}") with {what}, which no '
            "export but ONNX has."
        )


def pair(values: Any) -> Pair:
    """Return two integers."""
    first, second = values
    return int(first), int(second)


def pooled(sides: tuple[int, ...], kernel: Pair, stride: Pair, padding: Padding) -> Pair:
    """Return how many windows fit, down and across."""
    height = (sides[0] + padding[0] + padding[2] - kernel[0]) // stride[0] + 1
    width = (sides[1] + padding[1] + padding[3] - kernel[1]) // stride[1] + 1
    return height, width


def pads(node: Node, sides: tuple[int, ...], kernel: Pair, stride: Pair) -> Padding:
    """Return what lies around the map (top, left, bottom, right), written out for every mode.

    ``ceil_mode`` is padding at the bottom and the right, as far as the last window reaches.
    """
    automatic = node.get("auto_pad", b"NOTSET")
    if automatic in (b"SAME_UPPER", b"SAME_LOWER"):
        return _same(sides, kernel, stride, lower=automatic == b"SAME_LOWER")
    top, left, bottom, right = (int(side) for side in node.get("pads", (0, 0, 0, 0)))
    if not node.get("ceil_mode", 0):
        return top, left, bottom, right
    return (
        top,
        left,
        bottom + _beyond(sides[0], top, bottom, kernel[0], stride[0]),
        right + _beyond(sides[1], left, right, kernel[1], stride[1]),
    )


def _same(sides: tuple[int, ...], kernel: Pair, stride: Pair, *, lower: bool) -> Padding:
    ends = []
    for side, length, step in zip(sides, kernel, stride, strict=True):
        total = max((ceil(side / step) - 1) * step + length - side, 0)
        ends.append((total - total // 2, total // 2) if lower else (total // 2, total - total // 2))
    return ends[0][0], ends[1][0], ends[0][1], ends[1][1]


def _beyond(side: int, before: int, after: int, length: int, step: int) -> int:
    """Return how far the last window of ceil mode reaches out; it must begin inside."""
    count = ceil((side + before + after - length) / step) + 1
    if (count - 1) * step >= side + before:
        count -= 1
    return max((count - 1) * step + length - side - before - after, 0)
