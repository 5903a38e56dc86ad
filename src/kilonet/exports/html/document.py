"""The text of the HTML page: template, style, scripts and the network as JSON in one file."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from importlib.resources import files
from string import Template
from typing import Any

import numpy as np

from kilonet import __version__
from kilonet.data.specs import DIGITS
from kilonet.exports.graph import operators as ops
from kilonet.exports.graph.operators import FloatArray, Graph, Operator
from kilonet.exports.graph.p4 import find_p4_filters

SUPPORTED: tuple[type[Operator], ...] = (
    ops.InputScaling,
    ops.Conv2d,
    ops.Linear,
    *(ops.MaxPool, ops.AvgPool, ops.GlobalAvgPool),
    *(ops.ReLU, ops.LeakyReLU, ops.SiLU, ops.Sigmoid),
    *(ops.Add, ops.Mul, ops.Concat, ops.Flatten, ops.Reshape, ops.Softmax),
)
"""The operators in ``page/operators.js``."""

BLOCK_COMMENT = re.compile(r"^\s*/\*.*?\*/", re.DOTALL | re.MULTILINE)

SCRIPTS = (
    "operators.js",
    "network.js",
    "predict.js",
    "pad.js",
    "open.js",
    "result.js",
    "layers.js",
    "main.js",
)


def page(graph: Graph, name: str) -> str:
    """Return the page of a network; ``name`` is its title.

    The page loads nothing. Its Content-Security-Policy allows only its own scripts and styles, by
    their hashes (W3C, "Content Security Policy Level 3", 6.7.2.11).

    Raises:
        UnsupportedOperatorError: the page lacks an operator; the message names it.
    """
    graph.require(SUPPORTED, "html")
    style = _resource("page.css")
    scripts = [_compact(script) for script in (_prepare_script(), *map(_resource, SCRIPTS))]
    description = NetworkDescription(graph)
    texts = _texts(graph, name, description.weights)
    return Template(_resource("page.html")).substitute(
        {key: html.escape(text) for key, text in texts.items()},
        style=style,
        style_hash=_hash(style),
        scripts="\n".join(f"<script>{script}</script>" for script in scripts),
        script_hashes=" ".join(map(_hash, scripts)),
        network=description.to_json(),
    )


def _prepare_script() -> str:
    script = files("kilonet.preprocessing") / "prepare.js"
    return script.read_text(encoding="utf-8")


def _compact(script: str) -> str:
    """Return JavaScript without indentation, empty lines and comments that have lines of their own.

    No text of these scripts goes over several lines, so that indentation has no meaning.
    """
    lines = (line.strip() for line in BLOCK_COMMENT.sub("", script).splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("//"))


def _resource(name: str) -> str:
    return (files("kilonet.exports.html") / "page" / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """Return the policy's source expression for an inline script or style."""
    digest = hashlib.sha256(text.encode("utf-8", "replace")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def _texts(graph: Graph, name: str, weights: int) -> Mapping[str, str]:
    _, height, width = graph.image
    thing = "digits" if graph.classes == DIGITS else "pictures"
    return {
        "version": __version__,
        "title": f"{name}: {thing} in the browser",
        "width": str(width),
        "height": str(height),
        "operators": f"{len(graph.operators)} steps, {weights:,} weights",
        "provenance": f"{name}. {_provenance(graph)}. What you draw or open stays on this page.",
        **_introduction(graph),
    }


def _introduction(graph: Graph) -> Mapping[str, str]:
    """Return the texts for one of three pages: pictures are prepared, scaled, or not accepted."""
    channels, height, width = graph.image
    size = f"{width}×{height} {'grey' if channels == 1 else 'colour'} pixels"
    thing = "digit" if graph.classes == DIGITS else "figure"
    if graph.frames_ink:
        return {
            "mode": "prepared",
            "heading": f"Draw a {thing}",
            "introduction": "Or drop, paste or open a picture of one.",
            "invitation": "Waiting for a drawing.",
        }
    if channels in (1, 3):
        return {
            "mode": "scaled",
            "heading": "Drop, paste or open a picture",
            "introduction": f"It is scaled to {size}, and not prepared otherwise. "
            "Drawing works too.",
            "invitation": "Waiting for a picture.",
        }
    return {
        "mode": "from-programs",
        "heading": "A network for programs",
        "introduction": f"It takes {width}×{height} pixels with {channels} channels, and pictures "
        "have one or three. From the console: kilonet.predict(pixels).",
        "invitation": "Waiting for kilonet.predict(pixels).",
    }


def _provenance(graph: Graph) -> str:
    titles = {"recipe": "Recipe", "dataset": "data set", "producer": "trained with"}
    values = {title: graph.metadata.get(key) for key, title in titles.items()}
    parts = [f"{title} {text}" for title, text in values.items() if text]
    return ", ".join([*parts, f"exported by kilonet {__version__}"])


class NetworkDescription:
    """The network as the page stores it: operators field by field, and all weights.

    Weights are one base64 text of little-endian float32 numbers; an operator names an array by its
    position and length. Of filters that are rotated copies of one another, one in four is stored.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._weights = _Weights()
        self._operators = [_operator(op, self._weights) for op in graph.operators]

    @property
    def weights(self) -> int:
        """How many numbers the page stores."""
        return self._weights.size

    def to_json(self) -> str:
        """Return the argument of ``buildNetwork`` in ``page/network.js``, safe in a script tag."""
        numbers = b"".join(array.astype("<f4").tobytes() for array in self._weights.arrays)
        content = {
            "image": self._graph.image,
            "classes": self._graph.classes,
            "prepared": self._graph.frames_ink,
            "operators": self._operators,
            "weights": base64.b64encode(numbers).decode("ascii"),
        }
        text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
        return text.replace("<", "\\u003c")  # no text can end the script element


@dataclass
class _Weights:
    arrays: list[FloatArray] = field(default_factory=list)
    size: int = 0

    def add(self, array: FloatArray) -> dict[str, int]:
        self.arrays.append(array)
        self.size += array.size
        return {"at": self.size - array.size, "length": array.size}


def _operator(op: Operator, weights: _Weights) -> dict[str, Any]:
    description: dict[str, Any] = {"kind": type(op).__name__}
    values = {field.name: getattr(op, field.name) for field in fields(op)}
    if isinstance(op, ops.Conv2d):
        description["kernel"] = op.kernel
        description |= _filters(op, weights)
        del values["weight"]
    for name, value in values.items():
        description[name] = weights.add(value) if isinstance(value, np.ndarray) else value
    return description


def _filters(op: ops.Conv2d, weights: _Weights) -> dict[str, Any]:
    """Return the filters of a convolution, or the base filters of a p4 convolution."""
    p4 = find_p4_filters(op.weight, op.groups)
    if p4 is None:
        return {"weight": weights.add(op.weight)}
    factors = None if p4.are_equal else weights.add(p4.factors.astype(np.float32))
    return {
        "p4": {
            "base": weights.add(p4.base),
            "inputs": p4.base.shape[1],
            "regular": p4.regular,
            "factors": factors,
        }
    }
