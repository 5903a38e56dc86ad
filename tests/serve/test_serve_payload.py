"""Bodies by their media types."""

from __future__ import annotations

import pytest
from test_serve_parts import form

from kilonet.serve.payload import FILES, documented, payload
from kilonet.serve.problems import Problem
from kilonet.serve.wire import Picture


@pytest.mark.parametrize("kind", [*FILES, "Image/PNG", "image/png; charset=x"])
def test_a_file_as_it_is(kind: str) -> None:
    found = payload(b"bytes", kind, 3)
    assert found.pictures == [Picture("file", b"bytes")]
    assert found.single


def test_a_form() -> None:
    assert payload(*form([b"a"]), 3).single
    assert not payload(*form([b"a", b"b"]), 3).single
    body, kind = form([b"a"])
    renamed = payload(body.replace(b'name="picture"', b'name="pictures"'), kind, 3)
    assert not renamed.single
    assert renamed.pictures == [Picture("file", b"a")]


def test_json() -> None:
    assert payload(b'{"picture": "QUJD"}', "application/json; charset=utf-8", 3).single
    assert not payload(b'{"pictures": ["QUJD"]}', "application/json", 3).single


def test_a_form_without_a_file() -> None:
    with pytest.raises(Problem, match="has no file") as caught:
        payload(*form([], others=1), 3) if False else payload(
            b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--x--\r\n',
            "multipart/form-data; boundary=x",
            3,
        )
    assert caught.value.status == 422


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded", "image"])
def test_other_types(kind: str) -> None:
    with pytest.raises(Problem) as caught:
        payload(b"", kind, 3)
    assert caught.value.status == 415
    assert "image/png" in caught.value.headers["accept"]


def test_what_is_read_is_documented() -> None:
    content = documented()["requestBody"]["content"]
    assert set(content) == {*FILES, "multipart/form-data", "application/json"}
