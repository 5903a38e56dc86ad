"""Limits on bodies, forms with files, and media types."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilonet.serve.messages import RequestPicture
from kilonet.serve.problems import Problem
from kilonet.serve.request_body import (
    IMAGE_TYPES,
    MAX_OTHER_PARTS,
    describe_body,
    form_files,
    parse_body,
)
from service import PATIENCE, Live, received

HEAD = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\n"
PNG = {"content-type": "image/png"}


def test_a_content_length_that_is_too_large_is_refused_before_the_body(service: Live) -> None:
    answer = service.raw(HEAD + b"Content-Length: 300001\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"application/problem+json" in answer
    assert b"connection: close" in answer


def test_a_client_that_sends_too_much_still_gets_the_response(client: httpx.Client) -> None:
    for _ in range(5):
        response = client.post("/predict", content=bytes(3_000_000), headers=PNG)
        assert response.status_code == 413
        assert "larger than 300,000 bytes" in response.json()["detail"]


def test_chunks_are_counted(client: httpx.Client) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(40):
            yield bytes(10_000)

    response = client.post("/predict", content=chunks(), headers=PNG)
    assert response.status_code == 413


def test_a_slow_body(service: Live) -> None:
    answer = service.raw(HEAD + b"Content-Length: 100\r\n\r\nnot all of it")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"reason":"slow"' in answer


def test_a_client_that_disconnects(service: Live, client: httpx.Client) -> None:
    with socket.create_connection(("127.0.0.1", service.port), PATIENCE) as connection:
        connection.sendall(HEAD + b"Content-Length: 100\r\n\r\nhalf")
    assert client.get("/healthz").status_code == 200


def test_an_encoded_body(client: httpx.Client) -> None:
    response = client.post("/predict", content=b"x", headers=PNG | {"content-encoding": "gzip"})
    assert response.status_code == 415
    assert response.headers["accept-encoding"] == "identity"


def test_expect_100_continue_is_refused_before_the_body(service: Live) -> None:
    wait = b"Expect: 100-continue\r\n"
    answer = service.raw(HEAD + wait + b"Content-Length: 300001\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("length", ["-1", "1e3", "9" * 30, "5, 6", ""])
def test_an_invalid_content_length(service: Live, length: str) -> None:
    with socket.create_connection(("127.0.0.1", service.port), PATIENCE) as connection:
        connection.sendall(HEAD + f"Content-Length: {length}\r\n\r\n".encode())
        connection.shutdown(socket.SHUT_WR)
        assert received(connection).startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 422 "))


def form(contents: list[bytes], others: int = 0) -> tuple[bytes, str]:
    """Return the body and the content type of a form, as a client writes it."""
    request = httpx.Request(
        "POST",
        "http://x",
        files=[("picture", ("a.png", content)) for content in contents],
        data={f"field-{i}": "value" for i in range(others)},
    )
    return request.read(), request.headers["content-type"]


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=5))
def test_files_of_a_form(contents: list[bytes]) -> None:
    found = form_files(*form(contents), max_files=5)
    assert [part.content for part in found] == contents
    assert {part.name for part in found} == {"picture"}


def test_other_fields_do_not_count_as_files() -> None:
    assert len(form_files(*form([b"x"], others=3), max_files=1)) == 1


@pytest.mark.parametrize(("count", "others"), [(3, 0), (1, MAX_OTHER_PARTS + 2), (100, 0)])
def test_too_many_files(count: int, others: int) -> None:
    with pytest.raises(Problem) as caught:
        form_files(*form([b"x"] * count, others), max_files=2)
    assert (caught.value.status, caught.value.reason) == (413, "batch")


WHOLE, TYPE = form([b"some bytes"])


@given(st.integers(0, len(WHOLE) - 5))
def test_a_form_that_is_cut_off(length: int) -> None:
    with pytest.raises(Problem) as caught:
        form_files(WHOLE[:length], TYPE, max_files=2)
    assert caught.value.status == 400


FILE_HEAD = b'--x\r\nContent-Disposition: form-data; name="picture"; filename="a"\r\n\r\n'
LARGE = 8_000_000  # bytes, the default of --max-body


@pytest.mark.parametrize(
    "repeated",
    [b"\r\n--xy", b"\r\n--x\rX", b"\r\n--x-X", b"\r\n--x \t", b"\r\n--", b"\r\n-", b"\r", b"--x"],
)
@pytest.mark.parametrize("once", [b"", b"\r\n--x"])
def test_a_body_of_near_boundaries_costs_little_time(repeated: bytes, once: bytes) -> None:
    body = FILE_HEAD + once + repeated * (LARGE // len(repeated)) + b"\r\n--x--\r\n"
    check_cheap(body)


@pytest.mark.parametrize("padding", [b" ", b"\t", b" \t"])
def test_endless_padding_after_a_boundary_costs_little_time(padding: bytes) -> None:
    check_cheap(FILE_HEAD + b"\r\n--x" + padding * (LARGE // len(padding)) + b"\r\n\r\n")


def test_long_dispositions_cost_little_time() -> None:
    line = b"Content-Disposition: form-data; " + b";" * 4000 + b"\r\n"
    check_cheap((b"--x\r\n" + line * 8 + b"\r\n\r\n") * 80 + b"--x--\r\n")


def check_cheap(body: bytes) -> None:
    began = time.process_time()
    try:
        form_files(body, "multipart/form-data; boundary=x", max_files=64)
    except Problem as problem:
        assert problem.status in (400, 413)
    assert time.process_time() - began < 1


LATIN = st.text(st.characters(max_codepoint=255), max_size=100)  # as the server decodes headers


@given(st.binary(max_size=300), LATIN)
def test_any_bytes_are_files_or_a_problem(body: bytes, content_type: str) -> None:
    for kind in (content_type, TYPE):
        try:
            assert isinstance(form_files(body, kind, max_files=2), list)
        except Problem as problem:
            assert problem.status in (400, 413)


@pytest.mark.parametrize("kind", [*IMAGE_TYPES, "Image/PNG", "image/png; charset=x"])
def test_a_file_as_the_body(kind: str) -> None:
    found = parse_body(b"bytes", kind, 3)
    assert found.pictures == [RequestPicture("file", b"bytes")]
    assert found.single


def test_a_form() -> None:
    assert parse_body(*form([b"a"]), 3).single
    assert not parse_body(*form([b"a", b"b"]), 3).single
    body, kind = form([b"a"])
    renamed = parse_body(body.replace(b'name="picture"', b'name="pictures"'), kind, 3)
    assert not renamed.single
    assert renamed.pictures == [RequestPicture("file", b"a")]


def test_json() -> None:
    assert parse_body(b'{"picture": "QUJD"}', "application/json; charset=utf-8", 3).single
    assert not parse_body(b'{"pictures": ["QUJD"]}', "application/json", 3).single


def test_a_form_without_a_file() -> None:
    with pytest.raises(Problem, match="has no file") as caught:
        parse_body(
            b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--x--\r\n',
            "multipart/form-data; boundary=x",
            3,
        )
    assert caught.value.status == 422


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded", "image"])
def test_unsupported_types(kind: str) -> None:
    with pytest.raises(Problem) as caught:
        parse_body(b"", kind, 3)
    assert caught.value.status == 415
    assert "image/png" in caught.value.headers["accept"]


def test_the_description_lists_every_media_type() -> None:
    content = describe_body()["requestBody"]["content"]
    assert set(content) == {*IMAGE_TYPES, "multipart/form-data", "application/json"}
