"""The generated C: compiled without a warning, run under sanitizers, held to the references."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from compiled import SANITIZED, written
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from networks import NAMES, example, example_int8, pictures
from random_graphs import graphs

from kilonet.exports.c.emit import emit, selftest_images
from kilonet.exports.graph import operators as ops
from kilonet.exports.graph.interpret import interpret, softmax
from kilonet.exports.graph.lower import lower
from kilonet.exports.graph.operators import Graph, UnsupportedOperatorError
from kilonet.exports.int8.interpret import interpret_int8
from kilonet.exports.int8.quantise import quantise


@pytest.mark.compiler("gcc")
@pytest.mark.parametrize("name", NAMES)
def test_float_agrees_with_pytorch(name: str, tmp_path: Path) -> None:
    found, images = example(name), pictures(12)
    made = written(emit(found.graph, name), tmp_path, found.graph, whole=False)
    answers = made.run(images, *SANITIZED)
    expected = found.logits(images)
    np.testing.assert_allclose(answers.logits, expected, atol=1e-3)
    assert (answers.labels == expected.argmax(1)).all()
    np.testing.assert_allclose(answers.probabilities, softmax(expected), atol=1e-4)


@pytest.mark.compiler("gcc")
@pytest.mark.parametrize("name", NAMES)
def test_int8_is_the_integer_reference_to_the_bit(name: str, tmp_path: Path) -> None:
    images = pictures(12, seed=1)
    graph = example_int8(name)
    made = written(emit(graph, f"{name}-int8"), tmp_path, graph, whole=True)
    answers = made.run(images, *SANITIZED)
    expected = interpret_int8(graph, images)["logits"]
    np.testing.assert_array_equal(answers.logits, expected)
    assert (answers.labels == expected.argmax(1)).all()
    real = expected * graph.encodings["logits"].scale
    np.testing.assert_allclose(answers.probabilities, softmax(real), atol=1e-5)


@pytest.mark.parametrize("name", ["simple-8k-plus", "joined"])
@pytest.mark.parametrize(
    "compiler_name",
    [
        pytest.param("gcc", marks=pytest.mark.compiler("gcc")),
        pytest.param("clang", marks=pytest.mark.compiler("clang")),
    ],
)
@pytest.mark.parametrize("level", ["-Os", "-O3"])
def test_self_test(name: str, compiler_name: str, level: str, tmp_path: Path) -> None:
    found = example(name)
    for graph in (found.graph, example_int8(name)):
        whole = not isinstance(graph, Graph)
        made = written(emit(graph, "net"), tmp_path, graph, whole)
        done = made.self_test(level, compiler_name=compiler_name)
        assert (done.returncode, done.stdout) == (0, "net: all right\n")


@pytest.mark.compiler("gcc")
def test_self_test_notices_a_changed_weight(tmp_path: Path) -> None:
    graph = example("quick").graph
    for changed in (graph, example_int8("quick")):
        made = written(emit(changed, "net"), tmp_path, changed, not isinstance(changed, Graph))
        path = tmp_path / made.file
        text = path.read_text(encoding="utf-8")
        first = r"linear1_weight\[\d+\] = \{\n *" if changed is graph else r": weights \*/\n *"
        *_, weight = re.finditer(rf"{first}([-0-9.e+]+)", text)
        path.write_text(text[: weight.start(1)] + "90" + text[weight.end(1) :].removeprefix("f"))
        done = made.self_test()
        assert done.returncode == 1
        assert re.fullmatch(r"image \d: logit 0 is wrong\n", done.stdout)


@pytest.mark.compiler("gcc")
def test_no_exponential_where_none_is_wanted(tmp_path: Path) -> None:
    graph = example_int8("simple-8k-plus")
    made = written(emit(graph, "net"), tmp_path, graph, whole=True)
    text = (tmp_path / made.file).read_text(encoding="utf-8")
    without = re.sub(r"#ifndef KILONET_NO_LIBM.*?#endif", "", text, flags=re.DOTALL)
    assert "expf" in text
    assert "expf" not in without
    assert "math.h" not in without
    assert made.self_test("-DKILONET_NO_LIBM").returncode == 0


@pytest.mark.parametrize("name", ["gap-14k", "simple-8k-plus", "excited"])
def test_budgets_are_those_of_the_header_and_of_the_object(name: str) -> None:
    sizes = {"float": 4, "uint8_t": 1, "uint16_t": 2}
    for graph in (example(name).graph, example_int8(name)):
        made = emit(graph, "net")
        assert f"#define NET_WEIGHT_BYTES {made.weight_bytes}\n" in made.header
        assert f"#define NET_ARENA_BYTES {made.arena_bytes}\n" in made.header
        pattern = r"^static const (?:KILONET_FLASH )?(float|uint\d+_t) \w+\[(\d+)\][ \w]* = \{"
        constants = re.findall(pattern, made.source, re.M)
        written = sum(sizes[kind] * int(count) for kind, count in constants)
        assert 0 <= written - made.weight_bytes <= 2  # an entry ends the table of the sigmoid
        arena = re.findall(r"^static float arena\[(\d+)\];", made.source, re.M)
        context = re.findall(r"^    uint8_t (?:arena|next)\[(\d+)\];", made.header, re.M)
        assert made.arena_bytes == sum(map(int, context)) + 4 * sum(map(int, arena))


def test_size_of_an_8k_network() -> None:
    """Weights, multipliers, offsets and the table: what the goal of 9 kB counts."""
    made = emit(example_int8("simple-8k-plus"), "net")
    assert made.weight_bytes <= 9_000
    network = example("simple-8k-plus").model
    assert made.weight_bytes >= sum(p.numel() for p in network.parameters() if p.ndim > 1)


@pytest.mark.compiler("gcc")
@given(graphs(), st.booleans())
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_random_graphs(content: bytes, whole: bool) -> None:
    folder = example("quick").path.parent
    (folder / "random.onnx").write_bytes(content)
    graph = lower(folder / "random.onnx")
    images = np.random.default_rng(1).integers(0, 256, (3, *graph.image), dtype=np.uint8)
    if whole and graph.image[0] == 1:
        integers = quantise(graph, images)
        made = written(emit(integers, "net"), folder, integers, whole=True)
        expected = interpret_int8(integers, images)["logits"]
        np.testing.assert_array_equal(made.run(images, *SANITIZED).logits, expected)
    else:
        made = written(emit(graph, "net"), folder, graph, whole=False)
        expected = interpret(graph, images)["logits"]
        largest = 1 + np.abs(expected).max()
        np.testing.assert_allclose(
            made.run(images, *SANITIZED).logits, expected, rtol=1e-3, atol=1e-4 * largest
        )


def test_colour_pictures(tmp_path: Path) -> None:
    """Channels lie side by side in C, one after the other in ONNX; made pictures are the same."""
    assert selftest_images((3, 4, 5)).shape == (4, 3, 4, 5)
    assert not selftest_images((1, 28, 28))[0].any()


def test_names_become_identifiers(tmp_path: Path) -> None:
    graph = example("quick").graph
    for name, expected in {"7-Ünder.score": "n7_nder_score", "": "model", "a b": "a_b"}.items():
        made = emit(graph, name)
        assert made.name == expected
        assert f"int {expected}_predict(" in made.header


@pytest.mark.compiler("gcc")
def test_hostile_metadata_stays_in_comments_and_strings(tmp_path: Path) -> None:
    graph = example("quick").graph
    metadata = {
        "classes": ",".join(['"', "*/", "\\", "??/", "é", "%s", "7", "8", "9", "\n"]),
        "dataset": "*/ int x; /*",
        "recipe": '"\n#error',
    }
    hostile = Graph(graph.image, graph.operators, metadata)
    made = written(emit(hostile, "net"), tmp_path, hostile, whole=False)
    assert made.self_test().returncode == 0
    answers = made.run(pictures(1))
    assert answers.logits.shape == (1, 10)


def test_what_c_lacks_is_named() -> None:
    graph = example("excited").graph
    shape = (8, 4, 3)
    reshaped = ops.Reshape(output="r", sources=("image",), shape=shape)
    with pytest.raises(UnsupportedOperatorError, match="C lacks the operator Reshape"):
        emit(Graph((6, 4, 4), (reshaped, *graph.operators), {}), "net")
