"""A network as C99: the text of one header and one source."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from kilonet import __version__
from kilonet.exports.c import floats, integers
from kilonet.exports.c.calls import Call
from kilonet.exports.c.plan import MemoryPlan, PlannedCall, make_plan
from kilonet.exports.c.selftest import expectations
from kilonet.exports.c.sharing import has_bytes
from kilonet.exports.c.text import comment_text, identifier, kernel, number, rows, string
from kilonet.exports.graph import operators as ops
from kilonet.exports.graph.operators import LOGITS, Graph
from kilonet.exports.int8.operators import SIGMOID, QuantisedGraph, QuantisedOperator


@dataclass(frozen=True)
class CSource:
    """The files of an export, and what they need."""

    name: str
    header: str
    source: str
    weight_bytes: int
    arena_bytes: int
    stack_bytes: int


@dataclass(frozen=True)
class _Kind:
    """How float and integer networks differ as C."""

    folder: str
    call: Callable[[MemoryPlan, PlannedCall, str], Call]
    element: str
    element_bytes: int
    logit: str


FLOAT = _Kind("float32", floats.float_call, "float", 4, "float")
INT8 = _Kind("int8", integers.integer_call, "uint8_t", 1, "int16_t")
FLOAT_KNOWN = (*floats.CALLS, ops.Softmax, ops.Reshape)
FRAMES = 256
"""Stack of the calls themselves, about: addresses, saved registers, loop variables."""

LABELS = {
    "Conv2d": "conv",
    "Linear": "linear",
    "Mean": "mean",
    "AvgPool": "mean",
    "GlobalAvgPool": "mean",
    "MaxPool": "pool",
    "Add": "add",
    "Sum": "add",
    "Mul": "product",
    "Product": "product",
    "Concat": "join",
    "InputScaling": "input",
    "Flatten": "flat",
}


def emit(graph: Graph | QuantisedGraph, name: str) -> CSource:
    """Return the C of a network in float or in integers; ``name`` begins all public names.

    Raises:
        UnsupportedOperatorError: an operator has no C here.
    """
    kind = INT8 if isinstance(graph, QuantisedGraph) else FLOAT
    if isinstance(graph, Graph):
        graph.require(FLOAT_KNOWN, "c")
    plan = make_plan(graph.image, graph.operators)
    calls = [kind.call(plan, step, label) for step, label in _labelled(plan.steps)]
    return _written(graph, identifier(name), kind, plan, calls)


def _labelled(steps: Sequence[PlannedCall]) -> list[tuple[PlannedCall, str]]:
    counts: Counter[str] = Counter()
    found = []
    for step in steps:
        kind = type(step.op).__name__.removeprefix("Q")
        word = LABELS.get(kind, "activation")
        counts[word] += 1
        found.append((step, f"{word}{counts[word]}"))
    return found


def _written(
    graph: Graph | QuantisedGraph, name: str, kind: _Kind, plan: MemoryPlan, calls: Sequence[Call]
) -> CSource:
    constants = [constant for call in calls for constant in call.constants]
    table = SIGMOID.nbytes if _curved(graph) else 0
    most = max((call.channels for call in calls), default=0)
    sizes = {
        "weight_bytes": sum(constant.values.nbytes for constant in constants) + table,
        "arena_bytes": plan.arena.size * kind.element_bytes,
        "stack_bytes": 4 * most + FRAMES,
    }
    words = {**_words(graph, name, kind), **{key: str(size) for key, size in sizes.items()}}
    source = kernel(
        "common",
        "source.c",
        **words,
        **expectations(graph, kind.logit),
        includes=_includes(kind, calls),
        definitions=f"#define MOST_CHANNELS {most} /* sums kept at once */\n\n" if most else "",
        constants="\n".join(constant.text() for constant in constants),
        arena=f"static {kind.element} arena[{plan.arena.size}];\n" if plan.arena.size else "",
        kernels="\n".join(_kernels(kind, calls, curved=bool(table), narrow=has_bytes(plan))),
        body="\n\n".join(call.text() for call in calls),
    )
    return CSource(name, kernel("common", "header.h", **words), source, **sizes)


def _words(graph: Graph | QuantisedGraph, name: str, kind: _Kind) -> dict[str, str]:
    channels, height, width = graph.image
    whole = isinstance(graph, QuantisedGraph)
    scale = ""
    if isinstance(graph, QuantisedGraph):
        scale = number(np.float32(graph.encodings[LOGITS].scale))
    words = {
        "name": name,
        "macro": name.upper(),
        "title": comment_text(f"The network {graph.metadata.get('recipe') or name}"),
        "provenance": _provenance(graph),
        "height": height,
        "width": width,
        "channels": channels,
        "pixels": prod(graph.image),
        "interleaved": ", the channels of a pixel side by side" if channels > 1 else "",
        "classes": len(graph.classes),
        "class_names": ", ".join(map(string, graph.classes)),
        "logit": kind.logit,
        "logit_words": f"the logits, in units of {name.upper()}_LOGIT_SCALE"
        if whole
        else "the logits",
        "logit_scale": f"#define {name.upper()}_LOGIT_SCALE {scale}\n" if whole else "",
        "exponent": f"{scale} * (float)(logits[i] - most)" if whole else "logits[i] - most",
    }
    return {key: str(value) for key, value in words.items()}


def _provenance(graph: Graph | QuantisedGraph) -> str:
    known = [
        f"{title} {graph.metadata[key]}"
        for key, title in {
            "dataset": "data set",
            "recipe_fingerprint": "recipe fingerprint",
            "producer": "trained with",
        }.items()
        if graph.metadata.get(key)
    ]
    return comment_text(f"Generated by kilonet {__version__}. {'; '.join(known)}")


def _curved(graph: Graph | QuantisedGraph) -> bool:
    return any(
        isinstance(op, QuantisedOperator) and op.requantisation.curve != "line"
        for op in graph.operators
    )


def _includes(kind: _Kind, calls: Sequence[Call]) -> str:
    used = {name for call in calls for name in call.kernels}
    lines = ["#include <float.h>"] if kind is FLOAT else []
    exponentials = "#include <math.h>"
    if not used & {"silu", "sigmoid"} or kind is INT8:
        exponentials = f"#ifndef KILONET_NO_LIBM\n{exponentials}\n#endif"
    return "\n".join([*lines, exponentials, *(["#include <string.h>"] if kind is INT8 else [])])


def _kernels(kind: _Kind, calls: Sequence[Call], curved: bool, narrow: bool) -> list[str]:
    """Return the functions that are used, each once, those that others need first."""
    used = {name for call in calls for name in call.kernels}
    return [_kernel(kind, name, curved, narrow) for name in ORDER if name in used]


def _kernel(kind: _Kind, name: str, curved: bool, narrow: bool) -> str:
    if name == "window":
        return kernel("common", "window.c")
    if name == "ending" and curved:
        words = (
            {"orientation_shift": ORIENTATION_SHIFT, "part": "channel >> e->orientation_shift"}
            if narrow
            else WHOLE
        )
        return kernel(kind.folder, "ending_curved.c", table=rows(SIGMOID), **words)
    if name == "scaling" and narrow:
        return kernel(kind.folder, "scaling_narrow.c")
    if kind is FLOAT:
        return kernel(kind.folder, f"{name}.c")
    stored = "int16_t" if name.startswith("wide_") else "uint8_t"
    return kernel(kind.folder, f"{name.removeprefix('wide_')}.c", name=name, stored=stored)


WHOLE = {"orientation_shift": "", "part": "channel"}
ORIENTATION_SHIFT = (
    "    int orientation_shift; /* 2 if four orientation channels share one of these, else 0 */\n"
)

ORDER = (
    "rounded",
    "ending",
    "scaling",
    "window",
    "input_scaling",
    "scaled",
    "conv2d",
    "conv2d_p4",
    "pointwise_p4",
    "depthwise",
    "depthwise_p4",
    "linear",
    "wide_linear",
    "max_pool",
    "mean",
    "wide_mean",
    "relu",
    "leaky_relu",
    "silu",
    "sigmoid",
    "activation",
    "add",
    "multiply",
    "join",
    "flatten",
)
