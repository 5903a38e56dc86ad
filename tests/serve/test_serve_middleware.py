"""Headers on every response, unexpected errors, and the request log."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kilonet.serve.middleware import HEADERS, Middleware
from kilonet.serve.monitoring import ServiceMetrics
from service import Live, await_

SCOPE = {"type": "http", "method": "GET", "path": "/secret/path", "headers": [], "client": None}


def messages_of(app: ASGIApp, cancelled: bool = False) -> list[Message]:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    async def run() -> None:
        task = asyncio.create_task(Middleware(app, ServiceMetrics())(dict(SCOPE), receive, send))  # type: ignore[arg-type]
        await asyncio.sleep(0.01)
        if cancelled:
            task.cancel()
        await task

    await_(run())
    return sent


async def fails(scope: Scope, receive: Receive, send: Send) -> None:
    raise ZeroDivisionError("secret")


async def fails_late(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    raise ZeroDivisionError("secret")


async def waits(scope: Scope, receive: Receive, send: Send) -> None:
    await asyncio.sleep(60)


def test_an_unexpected_error_is_a_problem_too(capsys: pytest.CaptureFixture[str]) -> None:
    start, body = messages_of(fails)
    assert start["status"] == 500
    document = json.loads(body["body"])
    assert document["reason"] == "internal"
    assert "secret" not in document["detail"]
    failure, request = map(json.loads, capsys.readouterr().err.splitlines())
    assert "ZeroDivisionError: secret" in failure["traceback"]
    assert (request["status"], request["route"]) == (500, "(none)")


def test_a_response_that_has_begun_is_not_sent_again() -> None:
    assert [message["type"] for message in messages_of(fails_late)] == ["http.response.start"]


def test_a_request_cancelled_by_a_stop_is_a_503() -> None:
    start, body = messages_of(waits, cancelled=True)
    assert start["status"] == 503
    assert (b"retry-after", b"1") in start["headers"]
    assert json.loads(body["body"])["reason"] == "stopping"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/docs"),
        ("GET", "/openapi.json"),
        ("GET", "/healthz"),
        ("GET", "/readyz"),
        ("GET", "/metrics"),
        ("GET", "/none"),
        ("POST", "/predict"),
    ],
)
def test_security_headers(client: httpx.Client, method: str, path: str) -> None:
    response = client.request(method, path)
    for name, value in HEADERS:
        assert response.headers[name.decode()] == value.decode()
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "server" not in response.headers


def test_the_request_log(service: Live, client: httpx.Client, zero: bytes) -> None:
    before = len(service.log())
    client.post("/predict?min_confidence=0.5", content=zero, headers={"content-type": "image/png"})
    client.get("/" + "long" * 1000)
    read, long = [line for line in service.log()[before:] if line["event"] == "request"][-2:]
    known: dict[str, Any] = {
        "level": "info", "event": "request", "method": "POST", "route": "/predict",
        "path": "/predict", "status": 200, "client": "127.0.0.1", "pictures": 1,
        "bytes": len(zero),
    }  # fmt: skip
    assert known.items() <= read.items()
    assert set(read) == {*known, "time", "milliseconds"}
    assert len(long["path"]) == 200
