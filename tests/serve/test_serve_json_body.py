"""Pictures in JSON."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilonet.serve.json_body import parse_json
from kilonet.serve.messages import Refusal, RequestPicture
from kilonet.serve.problems import Problem

IMAGE = [[float(column) for column in range(28)] for _ in range(28)]
PACKED = RequestPicture("pixels", bytes(range(28)) * 28)


def read(value: Any, max_pictures: int = 3) -> tuple[list[RequestPicture | Refusal], bool]:
    return parse_json(json.dumps(value).encode("utf-8"), max_pictures)


def refused(value: Any, max_pictures: int = 3) -> Problem:
    with pytest.raises(Problem) as caught:
        read(value, max_pictures)
    return caught.value


def test_one_image_and_several() -> None:
    assert read({"pixels": IMAGE}) == ([PACKED], True)
    assert read({"pixels": [IMAGE]}) == ([PACKED], False)
    assert read({"pixels": [IMAGE, IMAGE, IMAGE]}) == ([PACKED] * 3, False)


@given(st.lists(st.floats(0, 255), min_size=28, max_size=28))
def test_pixels_are_rounded(row: list[float]) -> None:
    ((found,), _) = read({"pixels": [row] * 27 + [[255] * 28]})
    assert isinstance(found, RequestPicture)
    assert all(abs(a - b) <= 0.5 for a, b in zip(found.content[:28], row, strict=True))


@given(st.binary(max_size=100))
def test_files(content: bytes) -> None:
    text = base64.b64encode(content).decode("ascii")
    expected = RequestPicture("file", content)
    assert read({"picture": text}) == ([expected], True)
    assert read({"picture": f"data:image/png;base64,{text}"}) == ([expected], True)
    assert read({"pictures": [text, text]}) == ([expected] * 2, False)


@given(st.binary(min_size=1, max_size=300))
def test_base64_with_line_breaks(content: bytes) -> None:
    expected = RequestPicture("file", content)
    wrapped = base64.encodebytes(content).decode("ascii")
    assert read({"picture": wrapped}) == ([expected], True)
    assert read({"picture": wrapped.replace("\n", "\r\n ")}) == ([expected], True)
    assert read({"picture": f"data:image/png;base64,\n{wrapped}"}) == ([expected], True)


@pytest.mark.parametrize("highest", [1, 1.0, 0.25])
def test_pixels_from_0_to_1_are_named(highest: float) -> None:
    fractions = [[0.0] * 27 + [highest]] * 28
    ((found,), _) = read({"pixels": fractions})
    assert isinstance(found, Refusal)
    assert "Multiply them by 255" in found.message
    ((fraction, image), _) = read({"pixels": [fractions, IMAGE]})
    assert (fraction, image) == (found, PACKED)


def test_invalid_base64_does_not_affect_other_pictures() -> None:
    (first, second), single = read({"pictures": ["QUJD", "*"]})
    assert first == RequestPicture("file", b"ABC")
    assert isinstance(second, Refusal)
    assert not single
    ((text,), _) = read({"picture": "häh"})
    assert isinstance(text, Refusal)


@pytest.mark.parametrize(
    ("value", "at"),
    [
        ({"pixels": [[0] * 28] * 27}, "pixels"),
        ({"pixels": [[0] * 27] * 28}, "pixels.0"),
        ({"pixels": [[0] * 27 + [256]] * 28}, "pixels.0.27"),
        ({"pixels": [[0] * 27 + [-1]] * 28}, "pixels.0.27"),
        ({"pixels": [[0] * 27 + ["1"]] * 28}, "pixels.0.27"),
        ({"pixels": [[0] * 27 + [True]] * 28}, "pixels.0.27"),
        ({"pixels": [[0] * 27 + [None]] * 28}, "pixels.0.27"),
        ({"pixels": [IMAGE, [[0] * 28]]}, "pixels.1"),
        ({"pixels": []}, "pixels"),
        ({"pixels": 5}, "pixels"),
        ({"picture": 5}, "picture"),
        ({"pictures": []}, "pictures"),
        ({"pictures": [5]}, "pictures.0"),
    ],
)
def test_the_error_names_the_position(value: Any, at: str) -> None:
    problem = refused(value)
    assert problem.status == 422
    assert problem.body["errors"][0]["at"] == at


@pytest.mark.parametrize("value", [5, None, [], {}, {"image": []}, {"picture": "", "pixels": []}])
def test_unexpected_json(value: Any) -> None:
    assert refused(value).status == 422


def test_too_many() -> None:
    assert refused({"pixels": [IMAGE] * 4}).reason == "batch"
    assert refused({"pictures": ["QUJD"] * 4}).reason == "batch"
    assert refused({"pixels": [[0] * 100_000]}).status == 413


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"pixels": [[NaN]]}',
        b'{"pixels": [[Infinity]]}',
        b'"\\ud800"',
        b'{"picture": "' + b"A" * 1000,
    ],
)
def test_invalid_json(body: bytes) -> None:
    with pytest.raises(Problem) as caught:
        parse_json(body, 3)
    assert caught.value.status in (400, 422)
    assert len(str(caught.value)) < 1000


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON, st.sampled_from(["pixels", "picture", "pictures"]))
def test_any_json_is_pictures_or_a_problem(value: Any, name: str) -> None:
    for whole in (value, {name: value}):
        try:
            pictures, _ = read(whole)
            assert pictures
        except Problem as problem:
            assert problem.status in (400, 413, 422)
