"""Forms with files."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilonet.serve.parts import MOST_OTHER, files
from kilonet.serve.problems import Problem


def form(contents: list[bytes], others: int = 0) -> tuple[bytes, str]:
    """A form as a client writes it."""
    request = httpx.Request(
        "POST",
        "http://x",
        files=[("picture", ("a.png", content)) for content in contents],
        data={f"field-{i}": "value" for i in range(others)},
    )
    return request.read(), request.headers["content-type"]


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=5))
def test_what_a_client_sends_comes_back(contents: list[bytes]) -> None:
    found = files(*form(contents), most=5)
    assert [part.content for part in found] == contents
    assert {part.name for part in found} == {"picture"}


def test_fields_that_are_no_files_do_not_count() -> None:
    assert len(files(*form([b"x"], others=3), most=1)) == 1


@pytest.mark.parametrize(("count", "others"), [(3, 0), (1, MOST_OTHER + 2), (100, 0)])
def test_too_many(count: int, others: int) -> None:
    with pytest.raises(Problem) as caught:
        files(*form([b"x"] * count, others), most=2)
    assert (caught.value.status, caught.value.reason) == (413, "batch")


WHOLE, TYPE = form([b"some bytes"])


@given(st.integers(0, len(WHOLE) - 5))
def test_a_form_that_is_cut_off(length: int) -> None:
    with pytest.raises(Problem) as caught:
        files(WHOLE[:length], TYPE, most=2)
    assert caught.value.status == 400


LATIN = st.text(st.characters(max_codepoint=255), max_size=100)  # as the server gives headers


@given(st.binary(max_size=300), LATIN)
def test_any_bytes_are_files_or_a_problem(body: bytes, content_type: str) -> None:
    for kind in (content_type, TYPE):
        try:
            assert isinstance(files(body, kind, most=2), list)
        except Problem as problem:
            assert problem.status in (400, 413)
