"""Emission of a network as C99: one header and one source with a self-test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from kilonet import __version__
from kilonet.exports.c import floats
from kilonet.exports.c.calls import Call
from kilonet.exports.c.integers import integer_code
from kilonet.exports.c.plan import PlannedCall, make_plan
from kilonet.exports.c.text import comment_text, identifier, number, rows, string, template
from kilonet.exports.graph import operators as ops
from kilonet.exports.graph.interpret import Pixels, interpret
from kilonet.exports.graph.operators import LOGITS, Graph, Shape
from kilonet.exports.int8.interpret import interpret_int8
from kilonet.exports.int8.operators import QuantisedGraph
from kilonet.metadata import INK, preparation_of


@dataclass(frozen=True)
class CSource:
    """The files of an export, and the memory that they need.

    ``values`` are the $names of the network in the templates of projects. ``arena_bytes`` is static
    memory; that of an int8 network includes the image.
    """

    name: str
    header: str
    source: str
    values: Mapping[str, str]
    weight_bytes: int
    arena_bytes: int
    stack_bytes: int


FLOAT_KNOWN = (*floats.CALLS, ops.Softmax, ops.Reshape)
INT8_STACK, FLOAT_STACK = 500, 600
"""Stack without arrays whose size depends on the network: measured on each board, rounded up."""

TEST_IMAGES = 4
TOLERANCE = 1e-3
"""Of float logits in the self-test, relative to the largest: sums may be in another order."""

LABELS = {
    "Conv2d": "conv",
    "Linear": "linear",
    "AvgPool": "mean",
    "GlobalAvgPool": "mean",
    "MaxPool": "pool",
    "Add": "add",
    "Mul": "product",
    "Concat": "join",
    "InputScaling": "input",
    "Flatten": "flat",
}


def emit(graph: Graph | QuantisedGraph, name: str) -> CSource:
    """Return the C code of a float or integer network; ``name`` is the prefix of public names.

    Raises:
        UnsupportedOperatorError: the C target does not support an operator.
    """
    if isinstance(graph, QuantisedGraph):
        return _emit_int8(graph, identifier(name))
    graph.require(FLOAT_KNOWN, "c")
    return _emit_float(graph, identifier(name))


def _emit_int8(graph: QuantisedGraph, name: str) -> CSource:
    code = integer_code(graph)
    sizes = {
        "weight_bytes": code.data_bytes,
        "arena_bytes": code.context_bytes,
        "stack_bytes": 4 * code.row_pointers + INT8_STACK,
    }
    ram = f"{code.context_bytes} bytes, the image included"
    return _render(graph, name, "int8", sizes, ram, **code.words)


def _emit_float(graph: Graph, name: str) -> CSource:
    plan = make_plan(graph.image, graph.operators)
    calls = [floats.float_call(plan, step, label) for step, label in _labelled(plan.steps)]
    constants = [constant for call in calls for constant in call.constants]
    channels = max((call.channels for call in calls), default=0)
    arena, pixels = 4 * plan.arena.size, prod(graph.image)
    sizes = {
        "weight_bytes": sum(constant.values.nbytes for constant in constants),
        "arena_bytes": arena,
        "stack_bytes": 4 * channels + FLOAT_STACK,
    }
    sums = f"#define MAX_CHANNELS {channels} /* sums stored at once */\n\n"
    return _render(
        graph,
        name,
        "float32",
        sizes,
        f"{arena} bytes, static, {pixels} for the image",
        definitions=sums if channels else "",
        constants="\n".join(constant.text() for constant in constants),
        arena=f"static float arena[{plan.arena.size}];\n" if plan.arena.size else "",
        kernels="\n".join(_float_functions(calls)),
        body="\n\n".join(call.text() for call in calls),
        includes=_float_includes(calls),
    )


def _labelled(steps: Sequence[PlannedCall]) -> list[tuple[PlannedCall, str]]:
    counts: Counter[str] = Counter()
    labelled = []
    for step in steps:
        label = LABELS.get(type(step.op).__name__, "activation")
        counts[label] += 1
        labelled.append((step, f"{label}{counts[label]}"))
    return labelled


def _render(
    graph: Graph | QuantisedGraph,
    name: str,
    folder: str,
    sizes: Mapping[str, int],
    ram: str,
    /,
    **code: str,
) -> CSource:
    """Return the files: ``code`` are the $names of the folder's templates."""
    values = _values(graph, name) | {key: str(size) for key, size in sizes.items()}
    api = template(folder, "api.h", **values, **code)
    header = template("common", "header.h", **values, ram_text=ram, api=api)
    source = template(
        "common",
        "source.c",
        **values,
        **_expectations(graph, values["logit"]),
        includes=code.get("includes", INT8_INCLUDES),
        code=template(folder, "code.c", **values, **code),
    )
    return CSource(name, header, source, values, **sizes)


def _values(graph: Graph | QuantisedGraph, name: str) -> dict[str, str]:
    """Return the values of the templates' $names that do not depend on the plan."""
    channels, height, width = graph.image
    values = {
        "name": name,
        "macro": name.upper(),
        "title": comment_text(f"The network {graph.metadata.get('recipe') or name}"),
        "provenance": _provenance(graph),
        "input_text": INK_TEXT if preparation_of(graph.metadata, graph.image) == INK else GREY_TEXT,
        "height": height,
        "width": width,
        "channels": channels,
        "pixels": prod(graph.image),
        "interleaved": ", channels last" if channels > 1 else "",
        "classes": len(graph.classes),
        "class_names": ", ".join(map(string, graph.classes)),
        "logit": "float",
        "logit_unit": "the logits",
        "logit_scale": "",
        "exponent": "logits[i] - largest",
        "image": f"static uint8_t image[{prod(graph.image)}]",
        "classify": f"{name}_predict(image, logits)",
    }
    if isinstance(graph, QuantisedGraph):
        scale = number(np.float32(graph.encodings[LOGITS].scale))
        values |= {
            "logit": "int16_t",
            "image": f"uint8_t *const image = {name}_input()",
            "classify": f"{name}_run(logits)",
            "logit_unit": f"the logits, in units of {name.upper()}_LOGIT_SCALE",
            "logit_scale": f"#define {name.upper()}_LOGIT_SCALE {scale}\n",
            "exponent": f"{scale} * (float)((int32_t)logits[i] - largest)",
        }
    return {key: str(value) for key, value in values.items()}


INK_TEXT = """0 is the background and 255 the ink: bright strokes on black. As in MNIST, the
   longer side of the drawing has 20 pixels, and its centre of mass is in the middle."""
GREY_TEXT = (
    """Brightness as in the pictures of the training, from 0 to 255; the whole picture, resized."""
)


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


EXPONENTIALS = "#include <math.h>"
OPTIONAL_EXPONENTIALS = f"#ifndef KILONET_NO_LIBM\n{EXPONENTIALS}\n#endif"
INT8_INCLUDES = f"#include <limits.h>\n{OPTIONAL_EXPONENTIALS}\n#include <string.h>"


def _float_includes(calls: Sequence[Call]) -> str:
    used = {name for call in calls for name in call.functions}
    exponentials = EXPONENTIALS if used & {"silu", "sigmoid"} else OPTIONAL_EXPONENTIALS
    return f"#include <float.h>\n{exponentials}"


def _float_functions(calls: Sequence[Call]) -> list[str]:
    """Return the code of the functions that are used, callees first."""
    used = {name for call in calls for name in call.functions}
    folders = {"window": "common"}
    return [template(folders.get(name, "float32"), f"{name}.c") for name in ORDER if name in used]


ORDER = (
    "window",
    "input_scaling",
    "scaled",
    "conv2d",
    "conv2d_p4",
    "pointwise_p4",
    "depthwise",
    "depthwise_p4",
    "linear",
    "max_pool",
    "mean",
    "relu",
    "leaky_relu",
    "silu",
    "sigmoid",
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
        "difference_type": logit if isinstance(graph, Graph) else "int32_t",
        "tolerance": tolerance,
    }
