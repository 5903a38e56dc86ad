"""A graph as JSON: its operators field by field, all weights as one run of base64 floats."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from kilonet.exports.graph import operators as ops
from kilonet.exports.graph.operators import FloatArray, Graph, Operator
from kilonet.exports.graph.p4 import find_p4_filters


def describe(graph: Graph) -> str:
    """Return what ``buildNetwork`` in ``page/network.js`` takes, safe between script tags."""
    return Description(graph).text()


class Description:
    """What the page stores of a network.

    Weights are little-endian float32, each array named by where it begins and how long it is; of
    filters that are one another turned one of four is there.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._weights = _Weights()
        self._operators = [_operator(op, self._weights) for op in graph.operators]

    @property
    def weights(self) -> int:
        """How many numbers it stores."""
        return self._weights.size

    def text(self) -> str:
        """Return it as JSON, safe between script tags."""
        numbers = b"".join(array.astype("<f4").tobytes() for array in self._weights.arrays)
        content = {
            "image": self._graph.image,
            "classes": self._graph.classes,
            "prepared": self._graph.frames_ink,
            "operators": self._operators,
            "weights": base64.b64encode(numbers).decode("ascii"),
        }
        text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
        return text.replace("<", "\\u003c")  # no text in it can end the element that it stands in


@dataclass
class _Weights:
    arrays: list[FloatArray] = field(default_factory=list)
    size: int = 0

    def place(self, array: FloatArray) -> dict[str, int]:
        self.arrays.append(array)
        self.size += array.size
        return {"at": self.size - array.size, "length": array.size}


def _operator(op: Operator, weights: _Weights) -> dict[str, Any]:
    found: dict[str, Any] = {"kind": type(op).__name__}
    values = {field.name: getattr(op, field.name) for field in fields(op)}
    if isinstance(op, ops.Conv2d):
        found["kernel"] = op.kernel
        found |= _filters(op, weights)
        del values["weight"]
    for name, value in values.items():
        found[name] = weights.place(value) if isinstance(value, np.ndarray) else value
    return found


def _filters(op: ops.Conv2d, weights: _Weights) -> dict[str, Any]:
    """Return the filters of a convolution as they are, or as what they are made of."""
    p4 = find_p4_filters(op.weight, op.groups)
    if p4 is None:
        return {"weight": weights.place(op.weight)}
    factors = None if p4.are_equal else weights.place(p4.factors.astype(np.float32))
    return {
        "p4": {
            "base": weights.place(p4.base),
            "inputs": p4.base.shape[1],
            "regular": p4.regular,
            "factors": factors,
        }
    }
