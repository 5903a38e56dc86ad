"""Pieces of C text: literals read back as the same number, and nothing escapes from them."""

from __future__ import annotations

import re

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kilonet.exports.c.text import (
    ConstantArray,
    comment_text,
    identifier,
    number,
    shape_text,
    string,
    struct,
)


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_floats_read_back(value: float) -> None:
    text = number(np.float32(value))
    assert re.fullmatch(r"-?\d+(\.\d*)?(e[+-]\d+)?f", text)
    assert re.search(r"[.e]", text)  # 1f is no C
    assert np.float32(text[:-1]) == np.float32(value)


@given(st.text(max_size=30))
def test_strings_are_ascii_and_end_where_they_should(text: str) -> None:
    literal = string(text)
    assert re.fullmatch(r'"([A-Za-z0-9 _.,:;+/()-]|\\[0-7]{3})*"', literal)
    content = literal[1:-1].encode().decode("unicode_escape").encode("latin-1")
    assert content.decode() == text


@given(st.text(max_size=30))
def test_comments_and_names(text: str) -> None:
    assert not re.search(r"[^ -~]|/|\*|\\|\?", comment_text(text))
    assert re.fullmatch(r"[a-z_][a-z0-9_]*", identifier(text))


def test_arrays() -> None:
    assert ConstantArray("a", np.array([[1, -2], [3, 4]], np.int8)).text() == (
        "static const int8_t a[4] = {\n    1, -2, 3, 4\n};\n"
    )
    assert (
        "static const float b[1] = {\n    0.5f\n};" in ConstantArray("b", np.float32([0.5])).text()
    )


def test_structs_break_between_fields_only() -> None:
    text = struct("window", "w", {f"field{i}": i for i in range(20)})
    assert text.startswith("    static const window w = { .field0 = 0, ")
    assert all(len(line) <= 100 for line in text.splitlines())
    assert not re.search(r"=\n|\n *=", text)


def test_shapes_are_height_width_channels() -> None:
    assert (shape_text((16, 28, 20)), shape_text((10,))) == ("28x20x16", "10")
