"""The text of the page: template, style, scripts and network in one file."""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Mapping
from importlib.resources import files
from string import Template

from kilonet import __version__
from kilonet.exports.graph import operators as ops
from kilonet.exports.graph.operators import Graph, Operator
from kilonet.exports.html.description import Description

KNOWN: tuple[type[Operator], ...] = (
    ops.InputScaling,
    ops.Conv2d,
    ops.Linear,
    *(ops.MaxPool, ops.AvgPool, ops.GlobalAvgPool),
    *(ops.ReLU, ops.LeakyReLU, ops.SiLU, ops.Sigmoid),
    *(ops.Add, ops.Mul, ops.Concat, ops.Flatten, ops.Reshape, ops.Softmax),
)
"""What ``page/operators.js`` has."""

SCRIPTS = (
    "operators.js",
    "network.js",
    "reading.js",
    "pad.js",
    "pictures.js",
    "answer.js",
    "layers.js",
    "main.js",
)
DIGITS = tuple("0123456789")


def page(graph: Graph, name: str) -> str:
    """Return the page of a network; ``name`` is its title.

    It loads nothing, and its Content-Security-Policy allows no script or style but its own, by
    their hashes (W3C, "Content Security Policy Level 3", 6.7.2.11).

    Raises:
        UnsupportedOperatorError: the page lacks an operator; the message names it.
    """
    graph.require(KNOWN, "html")
    style = _resource("page.css")
    scripts = [_prepare_script(), *map(_resource, SCRIPTS)]
    described = Description(graph)
    words = _words(graph, name, described.weights)
    words = {key: html.escape(text) for key, text in words.items()}
    return Template(_resource("page.html")).substitute(
        words,
        style=style,
        style_hash=_hash(style),
        scripts="\n".join(f"<script>{script}</script>" for script in scripts),
        script_hashes=" ".join(map(_hash, scripts)),
        network=described.text(),
    )


def _prepare_script() -> str:
    script = files("kilonet.preprocessing") / "prepare.js"
    return script.read_text(encoding="utf-8")


def _resource(name: str) -> str:
    return (files("kilonet.exports.html") / "page" / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """Return what the policy calls an inline script or style."""
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def _words(graph: Graph, name: str, weights: int) -> Mapping[str, str]:
    _, height, width = graph.image
    return {
        "version": __version__,
        "title": f"{name}: {'digits' if graph.classes == DIGITS else 'pictures'} in the browser",
        "width": str(width),
        "height": str(height),
        "operators": f"{len(graph.operators)} steps, {weights:,} weights",
        "provenance": f"{name}. {_provenance(graph)}. What you draw or open stays on this page.",
        **_offer(graph),
    }


def _offer(graph: Graph) -> Mapping[str, str]:
    """Return what the page offers: drawings and pictures prepared, or only scaled, or neither."""
    channels, height, width = graph.image
    size = f"{width}×{height} {'grey' if channels == 1 else 'colour'} pixels"
    thing = "digit" if graph.classes == DIGITS else "figure"
    if graph.frames_ink:
        return {
            "way": "prepared",
            "heading": f"Draw a {thing}",
            "introduction": "Or drop, paste or open a picture of one.",
            "invitation": "Waiting for a drawing.",
        }
    if channels in (1, 3):
        return {
            "way": "as-it-is",
            "heading": "Drop, paste or open a picture",
            "introduction": f"It is scaled to {size}, and not prepared otherwise. "
            "Drawing works too.",
            "invitation": "Waiting for a picture.",
        }
    return {
        "way": "from-programs",
        "heading": "A network for programs",
        "introduction": f"It reads {width}×{height} pixels of {channels} channels, which no "
        "picture has. From the console: kilonet.predict(pixels).",
        "invitation": "Waiting for kilonet.predict(pixels).",
    }


def _provenance(graph: Graph) -> str:
    known = {"recipe": "Recipe", "dataset": "data set", "producer": "trained with"}
    found = {title: graph.metadata.get(key) for key, title in known.items()}
    said = [f"{title} {text}" for title, text in found.items() if text]
    return ", ".join([*said, f"exported by kilonet {__version__}"])
