"""Bodies that are too large, too slow, encoded or cut off."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import httpx
import pytest

from service import PATIENCE, Live, received

HEAD = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\n"
PNG = {"content-type": "image/png"}


def test_a_length_that_is_too_large_is_refused_before_the_body(service: Live) -> None:
    answer = service.raw(HEAD + b"Content-Length: 300001\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"application/problem+json" in answer
    assert b"connection: close" in answer


def test_a_client_that_sends_it_all_the_same_gets_the_answer(client: httpx.Client) -> None:
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


def test_a_sender_that_leaves(service: Live, client: httpx.Client) -> None:
    with socket.create_connection(("127.0.0.1", service.port), PATIENCE) as connection:
        connection.sendall(HEAD + b"Content-Length: 100\r\n\r\nhalf")
    assert client.get("/healthz").status_code == 200


def test_an_encoded_body(client: httpx.Client) -> None:
    response = client.post("/predict", content=b"x", headers=PNG | {"content-encoding": "gzip"})
    assert response.status_code == 415
    assert response.headers["accept-encoding"] == "identity"


def test_a_client_that_asks_first_need_not_send_it(service: Live) -> None:
    wait = b"Expect: 100-continue\r\n"
    answer = service.raw(HEAD + wait + b"Content-Length: 300001\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("length", ["-1", "1e3", "9" * 30, "5, 6", ""])
def test_a_length_that_is_none(service: Live, length: str) -> None:
    with socket.create_connection(("127.0.0.1", service.port), PATIENCE) as connection:
        connection.sendall(HEAD + f"Content-Length: {length}\r\n\r\n".encode())
        connection.shutdown(socket.SHUT_WR)
        assert received(connection).startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 422 "))
