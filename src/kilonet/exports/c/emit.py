"""Emission of a network as C99: one header and one source with a self-test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from kilonet import __version__
from kilonet.exports.c import floats, integers
from kilonet.exports.c.calls import Call, has_byte_scales
from kilonet.exports.c.plan import MemoryPlan, PlannedCall, make_plan
from kilonet.exports.c.text import comment_text, identifier, number, rows, string, template
from kilonet.exports.graph import operators as ops
from kilonet.exports.graph.interpret import Pixels, interpret
from kilonet.exports.graph.operators import LOGITS, Graph, Shape
from kilonet.exports.int8.interpret import interpret_int8
from kilonet.exports.int8.operators import SIGMOID, QuantisedGraph, QuantisedOperator


@dataclass(frozen=True)
class CSource:
    """The files of an export, and the memory that they need.

    ``values`` are the $names of the network in the templates of projects.
    """

    name: str
    header: str
    source: str
    values: Mapping[str, str]
    weight_bytes: int
    arena_bytes: int
    stack_bytes: int


@dataclass(frozen=True)
class _Kind:
    """The differences between the C of float and of integer networks."""

    folder: str
    call: Callable[[MemoryPlan, PlannedCall, str], Call]
    element: str
    element_bytes: int
    logit: str


FLOAT = _Kind("float32", floats.float_call, "float", 4, "float")
INT8 = _Kind("int8", integers.integer_call, "uint8_t", 1, "int16_t")
FLOAT_KNOWN = (*floats.CALLS, ops.Softmax, ops.Reshape)
CALL_STACK = 256
"""Approximate stack of the calls: addresses, saved registers, loop variables."""

TEST_IMAGES = 4
TOLERANCE = 1e-3
"""Of float logits in the self-test, relative to the largest: sums may be in another order."""

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
    """Return the C code of a float or integer network; ``name`` is the prefix of public names.

    Raises:
        UnsupportedOperatorError: the C target does not support an operator.
    """
    kind = INT8 if isinstance(graph, QuantisedGraph) else FLOAT
    if isinstance(graph, Graph):
        graph.require(FLOAT_KNOWN, "c")
    plan = make_plan(graph.image, graph.operators)
    calls = [kind.call(plan, step, label) for step, label in _labelled(plan.steps)]
    return _render(graph, identifier(name), kind, plan, calls)


def _labelled(steps: Sequence[PlannedCall]) -> list[tuple[PlannedCall, str]]:
    counts: Counter[str] = Counter()
    labelled = []
    for step in steps:
        kind = type(step.op).__name__.removeprefix("Q")
        label = LABELS.get(kind, "activation")
        counts[label] += 1
        labelled.append((step, f"{label}{counts[label]}"))
    return labelled


def _render(
    graph: Graph | QuantisedGraph, name: str, kind: _Kind, plan: MemoryPlan, calls: Sequence[Call]
) -> CSource:
    constants = [constant for call in calls for constant in call.constants]
    table = SIGMOID.nbytes if _has_activations(graph) else 0
    channels = max((call.channels for call in calls), default=0)
    sizes = {
        "weight_bytes": sum(constant.values.nbytes for constant in constants) + table,
        "arena_bytes": plan.arena.size * kind.element_bytes,
        "stack_bytes": 4 * channels + CALL_STACK,
    }
    max_channels = f"#define MAX_CHANNELS {channels} /* sums stored at once */\n\n"
    values = {**_values(graph, name, kind), **{key: str(size) for key, size in sizes.items()}}
    source = template(
        "common",
        "source.c",
        **values,
        **_expectations(graph, kind.logit),
        includes=_includes(kind, calls),
        definitions=max_channels if channels else "",
        constants="\n".join(constant.text() for constant in constants),
        arena=f"static {kind.element} arena[{plan.arena.size}];\n" if plan.arena.size else "",
        kernels="\n".join(_functions(kind, calls, bool(table), has_byte_scales(plan))),
        body="\n\n".join(call.text() for call in calls),
    )
    return CSource(name, template("common", "header.h", **values), source, values, **sizes)


def _values(graph: Graph | QuantisedGraph, name: str, kind: _Kind) -> dict[str, str]:
    """Return the values of the templates' $names that do not depend on the plan."""
    channels, height, width = graph.image
    values = {
        "name": name,
        "macro": name.upper(),
        "title": comment_text(f"The network {graph.metadata.get('recipe') or name}"),
        "provenance": _provenance(graph),
        "height": height,
        "width": width,
        "channels": channels,
        "pixels": prod(graph.image),
        "interleaved": ", channels last" if channels > 1 else "",
        "classes": len(graph.classes),
        "class_names": ", ".join(map(string, graph.classes)),
        "logit": kind.logit,
        "logit_unit": "the logits",
        "logit_scale": "",
        "exponent": "logits[i] - largest",
    }
    if isinstance(graph, QuantisedGraph):
        scale = number(np.float32(graph.encodings[LOGITS].scale))
        values |= {
            "logit_unit": f"the logits, in units of {name.upper()}_LOGIT_SCALE",
            "logit_scale": f"#define {name.upper()}_LOGIT_SCALE {scale}\n",
            "exponent": f"{scale} * (float)(logits[i] - largest)",
        }
    return {key: str(value) for key, value in values.items()}


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


def _has_activations(graph: Graph | QuantisedGraph) -> bool:
    return any(
        isinstance(op, QuantisedOperator) and op.requantisation.activation != "none"
        for op in graph.operators
    )


def _includes(kind: _Kind, calls: Sequence[Call]) -> str:
    used = {name for call in calls for name in call.functions}
    lines = ["#include <float.h>"] if kind is FLOAT else []
    exponentials = "#include <math.h>"
    if not used & {"silu", "sigmoid"} or kind is INT8:
        exponentials = f"#ifndef KILONET_NO_LIBM\n{exponentials}\n#endif"
    return "\n".join([*lines, exponentials, *(["#include <string.h>"] if kind is INT8 else [])])


def _functions(
    kind: _Kind, calls: Sequence[Call], has_activations: bool, byte_scales: bool
) -> list[str]:
    """Return the code of the functions that are used, callees first."""
    used = {name for call in calls for name in call.functions}
    return [_function(kind, name, has_activations, byte_scales) for name in ORDER if name in used]


def _function(kind: _Kind, name: str, has_activations: bool, byte_scales: bool) -> str:
    if name == "window":
        return template("common", "window.c")
    if name == "requantisation" and has_activations:
        indexing = (
            {"orientation_shift": ORIENTATION_SHIFT, "index": "channel >> q->orientation_shift"}
            if byte_scales
            else ALL_CHANNELS
        )
        return template(kind.folder, "requantisation_activation.c", table=rows(SIGMOID), **indexing)
    if name == "scaling" and byte_scales:
        return template(kind.folder, "scaling_bytes.c")
    if kind is FLOAT:
        return template(kind.folder, f"{name}.c")
    stored = "int16_t" if name.endswith("_int16") else "uint8_t"
    file = f"{name.removesuffix('_int16')}.c"
    return template(kind.folder, file, name=name, stored=stored)


ALL_CHANNELS = {"orientation_shift": "", "index": "channel"}
ORIENTATION_SHIFT = (
    "    int orientation_shift; /* 2 if four orientation channels share one of these, else 0 */\n"
)

ORDER = (
    "rounded",
    "requantisation",
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
    "linear_int16",
    "max_pool",
    "mean",
    "mean_int16",
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


def selftest_images(shape: Shape) -> Pixels:
    """Return the images that ``make_image`` in the generated C computes, (N, C, H, W)."""
    channels, height, width = shape
    n, c, y, x = np.ogrid[:TEST_IMAGES, :channels, :height, :width]
    v = (x * (3 + n) + y * (5 + 2 * n) + 17 * c).astype(np.uint32)
    return np.where((n == 0) | (v & 64 != 0), 0, v * v // 7 % 256).astype(np.uint8)


def _expectations(graph: Graph | QuantisedGraph, logit: str) -> dict[str, str]:
    """Return the values of the self-test for the source template: the reference's logits."""
    images = selftest_images(graph.image)
    if isinstance(graph, QuantisedGraph):
        logits, tolerance = interpret_int8(graph, images)[LOGITS], "0"
    else:
        logits = interpret(graph, images)[LOGITS]
        tolerance = f"{TOLERANCE * max(1.0, float(np.abs(logits).max())):.1e}f"
    return {
        "tests": str(TEST_IMAGES),
        "expected": ",\n".join(f"    {{\n{rows(row, 8)}}}" for row in logits),
        "difference_type": logit if isinstance(graph, Graph) else "int",
        "tolerance": tolerance,
    }
