"""Around the application: security headers, metrics, the request log, and unexpected errors."""

from __future__ import annotations

import asyncio
import time
import traceback
from contextlib import suppress
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kilonet.serve.monitoring import UNMATCHED, ServiceMetrics, log
from kilonet.serve.problems import Problem

DRAIN_SECONDS, DRAIN_BYTES = 5.0, 256_000_000
MAX_LOGGED_PATH = 200  # characters

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


class Middleware:
    """The application that the server runs: the routes, and everything common to them."""

    def __init__(self, app: ASGIApp, metrics: ServiceMetrics) -> None:
        """Wrap ``app``."""
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method = scope["method"]
        if method == "HEAD":  # the routes see a GET, and the server sends no body
            scope = {**scope, "method": "GET"}
        began = time.perf_counter()
        exchange = _Exchange(scope, receive, send)
        self._metrics.in_flight.inc()
        try:
            await self._call_app(scope, exchange)
        finally:
            self._metrics.in_flight.dec()
            self._record(method, scope, exchange, time.perf_counter() - began)

    async def _call_app(self, scope: Scope, exchange: _Exchange) -> None:
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except asyncio.CancelledError:
            problem = Problem(503, "The service is stopping. Send it again.", reason="stopping")
            await exchange.send_problem(problem)
        except Exception as error:
            log("failure", level="error", traceback=traceback.format_exc())
            text = f"This is a bug in Kilonet ({type(error).__name__}). Please report it."
            await exchange.send_problem(Problem(500, text))

    def _record(self, method: str, scope: Scope, exchange: _Exchange, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", UNMATCHED)
        self._metrics.count_request(route, exchange.status, seconds)
        log(
            "request",
            method=method[:20],
            route=route,
            path=scope["path"][:MAX_LOGGED_PATH],
            status=exchange.status,
            milliseconds=round(seconds * 1000, 3),
            client=(scope.get("client") or [""])[0],
            **scope.get("state", {}).get("facts", {}),
        )


class _Exchange:
    """One request and its response: adds headers, and tracks the status and the unread body."""

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
            await self._drain_body()
            await self._send({"type": "http.response.body", "body": b""})
        else:
            await self._send(message)

    async def send_problem(self, problem: Problem) -> None:
        """Send a problem as the response, unless a response has begun."""
        if self.status == 0:
            response = problem.response()
            headers = [*response.raw_headers, (b"connection", b"close")]
            start = {"type": "http.response.start", "status": problem.status, "headers": headers}
            await self.send(start)
            await self.send({"type": "http.response.body", "body": response.body})

    def _headers(self, headers: Any) -> list[tuple[bytes, bytes]]:
        result = [*headers, *HEADERS]
        if all(name != POLICY for name, _ in headers):
            result.append((POLICY, STRICT_POLICY.encode("ascii")))
        if self._unread:
            result.append((b"connection", b"close"))
        return result

    async def _drain_body(self) -> None:
        """Read and discard the rest of the body.

        Closing a connection with unread bytes resets it, and a client that still sends could lose
        the response.
        """
        size = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                while self._unread and size < DRAIN_BYTES:
                    size += len((await self.receive()).get("body", b""))
