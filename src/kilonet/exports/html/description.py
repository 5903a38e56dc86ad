"""A graph as JSON: its operators field by field, all weights as one run of base64 floats."""

from __future__ import annotations

import base64
import json
from dataclasses import fields
from typing import Any

import numpy as np

from kilonet.exports.graph import operators as ops
from kilonet.exports.graph.operators import FloatArray, Graph, Operator


def describe(graph: Graph) -> str:
    """Return what ``buildNetwork`` in ``page/network.js`` takes, safe between script tags.

    Weights are little-endian float32, each array named by where it begins and how long it is.
    """
    weights: list[FloatArray] = []
    operators = [_described(op, weights) for op in graph.operators]
    numbers = b"".join(array.astype("<f4").tobytes() for array in weights)
    content = {
        "image": graph.image,
        "classes": graph.classes,
        "prepared": graph.frames_ink,
        "operators": operators,
        "weights": base64.b64encode(numbers).decode("ascii"),
    }
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")  # no text in it can end the element that it stands in


def _described(op: Operator, weights: list[FloatArray]) -> dict[str, Any]:
    found: dict[str, Any] = {"kind": type(op).__name__}
    for field in fields(op):
        value = getattr(op, field.name)
        if isinstance(value, np.ndarray):
            at = sum(array.size for array in weights)
            weights.append(value)
            value = {"at": at, "length": value.size}
        found[field.name] = value
    if isinstance(op, ops.Conv2d):
        found["kernel"] = op.kernel
    return found
