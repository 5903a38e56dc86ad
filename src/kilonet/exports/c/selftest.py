"""What the generated self-test expects: the references' logits of pictures that are computed."""

from __future__ import annotations

import numpy as np

from kilonet.exports.c.text import rows
from kilonet.exports.graph.interpret import Pixels, interpret
from kilonet.exports.graph.operators import LOGITS, Graph, Shape
from kilonet.exports.int8.interpret import interpret_int8
from kilonet.exports.int8.operators import QuantisedGraph

PICTURES = 4
TOLERANCE = 1e-3
"""Of float logits, relative to the largest: sums may be taken in another order."""


def made_pictures(shape: Shape) -> Pixels:
    """Return the pictures that ``make_picture`` in the generated C makes, (N, C, H, W)."""
    channels, height, width = shape
    n, c, y, x = np.ogrid[:PICTURES, :channels, :height, :width]
    v = (x * (3 + n) + y * (5 + 2 * n) + 17 * c).astype(np.uint32)
    return np.where((n == 0) | (v & 64 != 0), 0, v * v // 7 % 256).astype(np.uint8)


def expectations(graph: Graph | QuantisedGraph, logit: str) -> dict[str, str]:
    """Return the words of the self-test in the source's template."""
    pictures = made_pictures(graph.image)
    if isinstance(graph, QuantisedGraph):
        logits, tolerance = interpret_int8(graph, pictures)[LOGITS], "0"
    else:
        logits = interpret(graph, pictures)[LOGITS]
        tolerance = f"{TOLERANCE * max(1.0, float(np.abs(logits).max())):.1e}f"
    return {
        "tests": str(PICTURES),
        "expected": ",\n".join(f"    {{\n{rows(row, 8)}}}" for row in logits),
        "difference_type": logit if isinstance(graph, Graph) else "int",
        "tolerance": tolerance,
    }
