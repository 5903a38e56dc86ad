"""Around the application: headers, counters, the log, and an answer whatever happens inside."""

from __future__ import annotations

import asyncio
import time
import traceback
from contextlib import suppress
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kilonet.serve.logs import log
from kilonet.serve.metrics import UNMATCHED, Metrics
from kilonet.serve.problems import Problem

LINGER_SECONDS, LINGER_BYTES = 2.0, 32_000_000
LONGEST = 200  # characters of a path in the log

STRICT_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
POLICY = b"content-security-policy"
HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
]


class Edge:
    """The application as the server sees it."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        """Put an edge around ``app``."""
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        exchange = _Exchange(scope, receive, send)
        self._metrics.in_flight.inc()
        try:
            await self._answered(scope, exchange)
        finally:
            self._metrics.in_flight.dec()
            self._record(scope, exchange, time.perf_counter() - began)

    async def _answered(self, scope: Scope, exchange: _Exchange) -> None:
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except asyncio.CancelledError:
            problem = Problem(503, "The service is stopping. Send it again.", reason="stopping")
            await exchange.rescue(problem)
        except Exception as error:
            log("failure", level="error", traceback=traceback.format_exc())
            text = f"This is a mistake in Kilonet ({type(error).__name__}). Please report it."
            await exchange.rescue(Problem(500, text))

    def _record(self, scope: Scope, exchange: _Exchange, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", UNMATCHED)
        self._metrics.answered(route, exchange.status, seconds)
        log(
            "request",
            method=scope["method"][:20],
            route=route,
            path=scope["path"][:LONGEST],
            status=exchange.status,
            milliseconds=round(seconds * 1000, 3),
            client=(scope.get("client") or [""])[0],
            **scope.get("state", {}).get("facts", {}),
        )


class _Exchange:
    """One request and its answer, watched."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.status = 0
        self._receive, self._send = receive, send
        headers = Headers(scope=scope)
        self._unread = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            self._unread = False
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            await self._send({**message, "headers": self._headers(message["headers"])})
        elif self._unread and not message.get("more_body", False):
            await self._send({**message, "more_body": True})
            await self._linger()
            await self._send({"type": "http.response.body", "body": b""})
        else:
            await self._send(message)

    async def rescue(self, problem: Problem) -> None:
        """Answer with a problem, unless an answer has begun."""
        if self.status == 0:
            response = problem.response()
            headers = [*response.raw_headers, (b"connection", b"close")]
            start = {"type": "http.response.start", "status": problem.status, "headers": headers}
            await self.send(start)
            await self.send({"type": "http.response.body", "body": response.body})

    def _headers(self, given: Any) -> list[tuple[bytes, bytes]]:
        headers = [*given, *HEADERS]
        if all(name != POLICY for name, _ in given):
            headers.append((POLICY, STRICT_POLICY.encode("ascii")))
        if self._unread:
            headers.append((b"connection", b"close"))
        return headers

    async def _linger(self) -> None:
        """Read on, and forget what comes: a connection closed over unread bytes is reset, and the
        answer may be lost with it before the client, still sending, has seen it."""
        size = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                while self._unread and size < LINGER_BYTES:
                    size += len((await self.receive()).get("body", b""))
