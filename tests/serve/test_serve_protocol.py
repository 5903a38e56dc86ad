"""What is no HTTP, and headers without an end."""

from __future__ import annotations

import json

import pytest

from service import Live


def document(answer: bytes) -> dict[str, object]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head
    assert b"x-content-type-options: nosniff" in head
    assert b"connection: close" in head
    found: dict[str, object] = json.loads(body)
    return found


@pytest.mark.parametrize(
    "request_",
    [
        b"GARBAGE\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n",
    ],
)
def test_no_http(service: Live, request_: bytes) -> None:
    answer = service.raw(request_)
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert document(answer)["reason"] == "malformed"


@pytest.mark.parametrize("line", [b"X-Long: " + b"a" * 200_000, b"X-Many: a\r\n" * 20_000])
def test_headers_without_an_end(service: Live, line: bytes) -> None:
    answer = service.raw(b"GET / HTTP/1.1\r\nHost: x\r\n" + line)
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert document(answer)["reason"] == "headers"


def test_many_requests_on_one_connection(service: Live) -> None:
    """What was answered does not count towards the next one's head."""
    one = b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 30_000 + b"\r\n\r\n"
    last = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    assert service.raw(one * 5 + last).count(b"HTTP/1.1 200 OK") == 6
