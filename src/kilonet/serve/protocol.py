"""HTTP on one connection: limits on its head, on the time for it, and on connections."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from kilonet.serve.middleware import DRAIN_BYTES, DRAIN_SECONDS, HEADERS, POLICY, STRICT_POLICY
from kilonet.serve.monitoring import log
from kilonet.serve.problems import Problem

MAX_HEAD = 65_536  # bytes of a request's line and headers; the parser itself has no limit
RESERVED_FILES = 100  # file descriptors that are not connections: pipes, the log, the listener


class ProtocolConfig(uvicorn.Config):
    """Uvicorn's configuration, the limits of ``LimitedProtocol``, and the connections they hold."""

    head_seconds = 10.0
    max_connections = 900

    def __init__(self, **options: Any) -> None:
        """Pass the options to Uvicorn."""
        super().__init__(**options)
        self.without_head: dict[LimitedProtocol, None] = {}  # the longest waiting first


def allow_connections() -> int:
    """Raise the limit on open files, and return the number of connections that it allows."""
    try:
        import resource
    except ImportError:  # Windows
        return ProtocolConfig.max_connections
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and soft < hard:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
    return max(soft - RESERVED_FILES, 1)


class LimitedProtocol(HttpToolsProtocol):
    """Uvicorn's HTTP protocol with problem documents for malformed HTTP and limits on heads."""

    config: ProtocolConfig
    _head_size = 0  # bytes since the current head began
    _problem: Problem | None = None  # with the current head
    _timer: asyncio.TimerHandle | None = None  # while a head is awaited
    _unread: int | None = None  # bytes that may still arrive after a refusal

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin a connection. If there are too many, the one that waits longest is closed."""
        super().connection_made(transport)
        self._await_head()
        if len(self.connections) > self.config.max_connections:
            next(iter(self.config.without_head))._give_up("too many connections")

    def connection_lost(self, exc: Exception | None) -> None:
        """End a connection."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse received bytes."""
        if self._unread is not None:
            self._discard(data)
            return
        self._head_size += len(data)
        super().data_received(data)
        if self._unread is not None or self.transport.is_closing():
            return
        if self._head_size > MAX_HEAD:
            self._refuse(_large_head())
        elif self._timer is None and (self.cycle is None or self.cycle.response_complete):
            self._await_head()

    def on_headers_complete(self) -> None:
        """Begin a request, once its headers are complete."""
        self._stop_waiting()
        self._problem = self._check_head()
        if self._problem is not None:
            raise ValueError(str(self._problem))  # the parser stops; ``send_400_response`` answers
        super().on_headers_complete()
        self._head_size = 0

    def on_body(self, body: bytes) -> None:
        """Receive a part of a request's body."""
        super().on_body(body)
        self._head_size = 0

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002
        """Answer malformed HTTP."""
        malformed = Problem(400, "This is not HTTP/1.1. Send a request that is.")
        self._refuse(self._problem or malformed)

    def _check_head(self) -> Problem | None:
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > MAX_HEAD:
            return _large_head()
        hosts = sum(name == b"host" for name, _ in self.headers)
        if hosts > 1 or (hosts == 0 and self.parser.get_http_version() == "1.1"):
            return Problem(400, f"The request has {hosts} Host headers. HTTP/1.1 requires one.")
        return None

    def _await_head(self) -> None:
        self.config.without_head[self] = None
        self._timer = self.loop.call_later(self.config.head_seconds, self._give_up, "slow head")

    def _stop_waiting(self) -> None:
        self.config.without_head.pop(self, None)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self, reason: str) -> None:
        """Close a connection on which no complete head has arrived."""
        client = self.client[0] if self.client else ""
        log("connection-closed", reason=reason, client=client, bytes=self._head_size)
        self._stop_waiting()
        if self._head_size:
            seconds = self.config.head_seconds
            self._refuse(Problem(408, f"The headers did not arrive within {seconds:g} seconds."))
        else:
            self.transport.close()

    def _refuse(self, problem: Problem) -> None:
        """Send ``problem``, unless a response is being sent, and close the connection."""
        self._stop_waiting()
        if self.cycle is not None and not self.cycle.response_complete:
            self.transport.close()
            return
        response = problem.response()
        headers = [*response.raw_headers, *HEADERS, (POLICY, STRICT_POLICY.encode("ascii"))]
        lines = [name + b": " + value for name, value in (*headers, (b"connection", b"close"))]
        status = f"HTTP/1.1 {problem.status} {problem.body['title']}".encode("ascii")
        head = b"\r\n".join([status, *lines, b"", b""])
        self.transport.write(head + bytes(response.body))
        self._close_after_client()

    def _close_after_client(self) -> None:
        """Close the connection once the client has, or after ``DRAIN_SECONDS``.

        Closing a connection with unread bytes resets it, and a client that still sends could lose
        the response.
        """
        self._unread = DRAIN_BYTES
        self.loop.call_later(DRAIN_SECONDS, self.transport.close)
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def _discard(self, data: bytes) -> None:
        assert self._unread is not None
        self._unread -= len(data)
        if self._unread < 0:
            self.transport.close()


def _large_head() -> Problem:
    return Problem(431, f"The headers have more than {MAX_HEAD:,} bytes.")
