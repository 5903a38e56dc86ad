"""The C of an integer network: its tables and the functions that it needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kilonet.exports.c.schedule import RowPlan, plan_rows
from kilonet.exports.c.steps import Step, StepWriter, step_text
from kilonet.exports.c.text import rows, template
from kilonet.exports.graph.operators import IMAGE, LOGITS, UnsupportedOperatorError
from kilonet.exports.int8.operators import SIGMOID, QuantisedGraph


@dataclass(frozen=True)
class IntegerCode:
    """The parts of an integer network's C, and the bytes that they need.

    ``words`` are $names of templates. ``context_bytes`` is the memory of a run: values, image and
    row numbers. ``data_bytes`` counts parameters and the table of the sigmoid. A function has
    ``row_pointers`` on its stack.
    """

    words: Mapping[str, str]
    context_bytes: int
    data_bytes: int
    row_pointers: int


def integer_code(graph: QuantisedGraph) -> IntegerCode:
    """Return the C of an integer network.

    Raises:
        UnsupportedOperatorError: the C target lacks an operator, or numbers exceed 32 bits.
    """
    plan = plan_rows(graph.image, graph.operators)
    writer = StepWriter(plan)
    numbers: dict[int, list[int]] = {}
    steps: list[Step] = []
    for i, call in enumerate(plan.steps):
        made = writer.steps(call, i)
        numbers[i] = list(range(len(steps), len(steps) + len(made)))
        steps += made
    order = [number for i in plan.order for number in numbers[i]]
    if len(steps) > 255 or len(writer.names) > 255:
        raise UnsupportedOperatorError("An int8 export to C takes at most 255 steps.")
    return _rendered(plan, writer, steps, order)


def _rendered(
    plan: RowPlan, writer: StepWriter, steps: Sequence[Step], order: Sequence[int]
) -> IntegerCode:
    functions = {step.function for step in steps}
    activations = {str(step.fields["activation"]) for step in steps if "activation" in step.fields}
    image = plan.places[IMAGE]
    words = {
        "position": "uint16_t" if max(writer.data.size, plan.arena_bytes) < 1 << 16 else "uint32_t",
        "arena_size": str(plan.arena_bytes),
        "steps": str(len(steps)),
        "input": str(image.offset),
        "max_rows": str(writer.max_rows),
        "max_best": str(writer.max_best),
        "data": "\n".join(writer.data.parts).rstrip(","),
        "data_bytes": str(writer.data.size),
        "values": "\n".join(writer.values()),
        "logits_value": str(writer.names.index(LOGITS)),
        "windows": WINDOWS.format(",\n".join(writer.windows)) if writer.windows else "",
        "step_rows": "\n".join(step_text(i, step) for i, step in enumerate(steps)),
    }
    words["functions"] = _functions(functions, activations, words["position"])
    words["types"] = template("int8", "types.c", position=words["position"])
    words["network"] = template("int8", "network.c", plan=plan_text(order))
    data_bytes = writer.data.size + (SIGMOID.nbytes if activations else 0)
    return IntegerCode(words, plan.arena_bytes + len(steps), data_bytes, writer.max_rows)


def _functions(used: set[str], activations: set[str], position: str) -> str:
    """Return the code of the functions that are used, callees first."""
    activated = table = ""
    if activations:
        activated = template("int8", "activated.c", product=_product(activations))
        table = (
            "/* 32768 * sigmoid at 0, 1/16, ... 8 */\nstatic const KILONET_FLASH uint16_t "
            f"sigmoid_table[{len(SIGMOID) + 1}] = {{\n{rows(SIGMOID)}\n}};\n\n"
        )
    words = {"position": position, "activate": "", "activate_sum": ""}
    if activations:
        words["activate"] = "if (s->activation != NONE)\n            v = activated(s, k, v);"
        words["activate_sum"] = ADD_ACTIVATION
    parts = [template("int8", "arithmetic.c", sigmoid=table, activation=activated, **words)]
    if used & {"convolution", "max_pool"}:
        parts.append(template("int8", "find_rows.c"))
    if used & {"linear", "mean"}:
        parts.append(template("int8", "put.c"))
    return "\n".join([*parts, *(template("int8", f"{name}.c", **words) for name in sorted(used))])


def _product(activations: set[str]) -> str:
    """Return the C of an activation of x in 1024ths, times 32768: only those that are used."""
    products = {
        "SILU": "x * sigmoid(x)",
        "SIGMOID": "sigmoid(x) * 1024",
        "LEAKY_RELU": "x * (x < 0 ? s->slope : 32768)",
    }
    *others, last = sorted(activations)
    return (
        "".join(f"s->activation == {kind} ? {products[kind]} : " for kind in others)
        + products[last]
    )


WINDOWS = "static const KILONET_FLASH window windows[] = {{\n{}\n}};\n\n"
ADD_ACTIVATION = """if (s->activation != NONE) {
            const uint8_t *const begin = end - map->width * map->channels;
            const channel k = channel_of(s, (int)(to - begin) % map->channels);
            v = activated(s, &k, v);
        }"""


def plan_text(order: Sequence[int]) -> str:
    """Return the order as C: lines of a count, the number of steps, and their numbers."""
    return "\n".join(
        f"    {count}, {len(steps)}, {', '.join(map(str, steps))},"
        for count, steps in repeated(order)
    ).rstrip(",")


def repeated(order: Sequence[int], longest: int = 24) -> list[tuple[int, tuple[int, ...]]]:
    """Return ``order`` as (count, steps) loops: at each place the loop that covers most steps."""
    loops: list[tuple[int, tuple[int, ...]]] = []
    at = 0
    while at < len(order):
        best = (1, tuple(order[at : at + 1]))
        for size in range(1, min(longest, len(order) - at) + 1):
            steps = tuple(order[at : at + size])
            count = 1
            while count < 255 and tuple(order[at + count * size :][:size]) == steps:
                count += 1
            if count > 1 and count * size > best[0] * len(best[1]):
                best = count, steps
        if best[0] == 1 and loops and loops[-1][0] == 1 and len(loops[-1][1]) < longest:
            loops[-1] = 1, (*loops[-1][1], *best[1])
        else:
            loops.append(best)
        at += best[0] * len(best[1])
    return loops
