"""The order of rows and their places: what a step reads is still there."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import example_int8, pictures

from kilonet.exports.c.emit import emit
from kilonet.exports.c.integers import repeated
from kilonet.exports.c.schedule import RowPlan, needed_rows, plan_rows, row_count
from kilonet.exports.graph.operators import IMAGE, LOGITS
from kilonet.exports.int8.interpret import interpret_int8

Owners = dict[int, tuple[str, int]]


def _bytes(plan: RowPlan, value: str, row: int) -> range:
    place = plan.place(value)
    begin = place.offset + (place.first + row) % place.ring * place.row
    return range(begin, begin + place.row)


def _replay(plan: RowPlan) -> None:
    """Follow the plan, and check that each row is whole when a step reads it."""
    memory: Owners = {}
    assert plan.place(IMAGE).first == 0
    for row in range(row_count(plan.shapes[IMAGE])):
        memory.update(dict.fromkeys(_bytes(plan, IMAGE, row), (IMAGE, row)))
    done = [0] * len(plan.steps)
    for number in plan.order:
        step, row = plan.steps[number], done[number]
        sources = [plan.root(source) for source in step.op.sources]
        needed = needed_rows(step, row, [plan.shapes[source] for source in sources])
        for source, (first, after) in zip(sources, needed, strict=True):
            for wanted in range(first, after):
                found = {memory[byte] for byte in _bytes(plan, source, wanted)}
                assert found == {(source, wanted)}
        if step.output != LOGITS:
            written = _bytes(plan, step.output, row)
            assert written.start >= 0
            assert written.stop <= plan.arena_bytes
            memory.update(dict.fromkeys(written, (step.output, row)))
        done[number] += 1
    assert plan.steps[-1].output == LOGITS
    assert done[-1] == 1


@pytest.mark.parametrize("name", ["kilonet-0.5k", "kilonet-1k", "joined", "excited"])
def test_every_row_is_there_when_it_is_read(name: str) -> None:
    graph = example_int8(name)
    _replay(plan_rows(graph.image, graph.operators))


def test_residual_blocks_share_a_ring_with_one_row_more() -> None:
    graph = example_int8("kilonet-1k")
    plan = plan_rows(graph.image, graph.operators)
    row = 14 * 16
    assert plan.arena_bytes == (14 + 1) * row + row  # the map, and a row of the depthwise layer
    assert max(place.ring for place in plan.places.values() if place.row == row) == 15


@given(st.lists(st.integers(0, 4), max_size=60))
def test_loops_hold_the_whole_order(order: list[int]) -> None:
    loops = repeated(order)
    assert [step for count, steps in loops for _ in range(count) for step in steps] == order
    assert all(1 <= count <= 255 for count, _ in loops)


TWO_RUNS = """
#include "first.h"
#include "second.h"
#include <stdio.h>
#include <string.h>

static first_context one, two;

int main(void)
{
    static uint8_t image[2][784];
    static int16_t logits[4][10];

    if (fread(image, 1, sizeof image, stdin) != sizeof image)
        return 1;
    memcpy(first_context_input(&one), image[0], 784);
    memcpy(first_context_input(&two), image[1], 784);
    first_context_run(&two, logits[1]);
    first_context_run(&one, logits[0]);
    memcpy(second_input(), image[0], 784);
    second_run(logits[2]);
    second_predict(image[1], logits[3]);
    fwrite(logits, sizeof logits, 1, stdout);
    return 0;
}
"""


@pytest.mark.parametrize("compiler", ["gcc", "g++"])
def test_two_networks_and_two_contexts_in_one_program(compiler: str, tmp_path: Path) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"no {compiler} on the PATH")
    suffix = "c" if compiler == "gcc" else "cpp"
    graph, images = example_int8("kilonet-0.5k"), pictures(2, seed=4)
    for name in ("first", "second"):
        made = emit(graph, name)
        (tmp_path / f"{name}.h").write_text(made.header, encoding="utf-8")
        (tmp_path / f"{name}.{suffix}").write_text(made.source, encoding="utf-8")
    (tmp_path / f"main.{suffix}").write_text(TWO_RUNS, encoding="utf-8")
    sources = [f"{name}.{suffix}" for name in ("main", "first", "second")]
    flags = ["-Wall", "-Wextra", "-Werror", "-pedantic", "-DKILONET_NO_LIBM"]
    subprocess.run([compiler, *flags, *sources, "-o", "program"], cwd=tmp_path, check=True)
    done = subprocess.run(
        [tmp_path / "program"], input=images.tobytes(), capture_output=True, check=True
    )
    expected = interpret_int8(graph, images)[LOGITS]
    found = np.frombuffer(done.stdout, np.int16).reshape(4, 10)
    np.testing.assert_array_equal(found, [*expected, *expected])
