"""Malformed HTTP, heads without end, and connections on which nothing arrives."""

from __future__ import annotations

import json
import socket
import time
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from service import PATIENCE, Live, live, received


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
def test_malformed_http(service: Live, request_: bytes) -> None:
    answer = service.raw(request_)
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert document(answer)["reason"] == "malformed"


@pytest.mark.parametrize("line", [b"X-Long: " + b"a" * 200_000, b"X-Many: a\r\n" * 20_000])
def test_endless_headers(service: Live, line: bytes) -> None:
    answer = service.raw(b"GET / HTTP/1.1\r\nHost: x\r\n" + line)
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert document(answer)["reason"] == "headers"


def test_many_requests_on_one_connection(service: Live) -> None:
    """The bytes of earlier requests do not count as headers of the next."""
    one = b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 30_000 + b"\r\n\r\n"
    last = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    assert service.raw(one * 5 + last).count(b"HTTP/1.1 200 OK") == 6


@pytest.mark.parametrize("count", [1, 500])
def test_a_complete_head_that_is_too_large(service: Live, count: int) -> None:
    lines = b"".join(b"X-%d: " % i + b"a" * (100_000 // count) + b"\r\n" for i in range(count))
    answer = service.raw(b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + lines + b"\r\n")
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert document(answer)["reason"] == "headers"


def test_a_client_that_sends_much_more_still_gets_the_response(service: Live) -> None:
    for first in (b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: ", b"GARBAGE\r\n\r\n"):
        answer = service.raw(first + bytes([97]) * 20_000_000)
        assert answer.startswith((b"HTTP/1.1 431 ", b"HTTP/1.1 400 "))
        assert document(answer)["status"] in (400, 431)


@pytest.mark.parametrize("hosts", [0, 2])
@pytest.mark.parametrize("start", [b"GET /healthz", b"POST /predict", b"HEAD /"])
def test_http_1_1_needs_one_host(service: Live, start: bytes, hosts: int) -> None:
    head = start + b" HTTP/1.1\r\nContent-Length: 3\r\n" + b"Host: x\r\n" * hosts
    answer = service.raw(head + b"\r\nabc")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1 ") == 1 + document(answer)["detail"].count("HTTP/1.1 ")  # type: ignore[attr-defined]


def test_http_1_0_needs_no_host(service: Live) -> None:
    assert service.raw(b"GET /healthz HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize("path", ["/", "/docs", "/healthz", "/readyz", "/metrics", "/openapi.json"])
def test_head_is_get_without_a_body(client: httpx.Client, path: str) -> None:
    got, head = client.get(path), client.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == got.headers["content-type"]
    if path != "/metrics":
        assert head.headers["content-length"] == got.headers["content-length"]


def test_a_405_lists_the_methods(client: httpx.Client) -> None:
    head = client.head("/predict")
    assert (head.status_code, head.headers["allow"], head.content) == (405, "POST", b"")
    for method in ("DELETE", "POST", "PUT"):
        response = client.request(method, "/healthz")
        assert (response.status_code, response.headers["allow"]) == (405, "GET, HEAD")


SLOW_HEADS = [b"", b"\r\n", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\nX-A: "]
GOOD = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize("earlier", [b"", GOOD])
def test_a_head_that_never_ends_is_a_line_in_the_log(model: Path, earlier: bytes) -> None:
    with live(model, "--head-seconds", "0.5") as service, ExitStack() as stack:
        where = ("127.0.0.1", service.port)
        opened = [stack.enter_context(socket.create_connection(where, 20)) for _ in SLOW_HEADS]
        for connection, head in zip(opened, SLOW_HEADS, strict=True):
            connection.sendall(earlier)
            if earlier:
                while connection.recv(1, socket.MSG_PEEK) and b"ok" not in connection.recv(65536):
                    pass
            connection.sendall(head)
        answers = [received(connection) for connection in opened]
        assert all(document(answer)["status"] == 408 for answer in answers if answer)
        assert [bool(answer) for answer in answers] == [False, True, True, True]
        closed = [line for line in service.log() if line["event"] == "connection-closed"]
        assert {(line["reason"], line["client"]) for line in closed} == {("slow head", "127.0.0.1")}
        assert len(closed) == (3 if earlier else 4)  # Uvicorn closes one that is idle later


def test_idle_connections_do_not_keep_others_out(model: Path) -> None:
    limit = "import resource, runpy; resource.setrlimit(resource.RLIMIT_NOFILE, (150, 150))"
    with live(model, limit=limit) as service, ExitStack() as stack:
        for _ in range(120):
            stack.enter_context(socket.create_connection(("127.0.0.1", service.port), PATIENCE))
        began = time.monotonic()
        assert service.raw(GOOD.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert time.monotonic() - began < 5
        reasons = {line.get("reason") for line in service.log()}
        assert "too many connections" in reasons
