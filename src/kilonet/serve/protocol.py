"""HTTP itself: what cannot be parsed, or never ends, is answered with a problem too."""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from kilonet.serve.edge import HEADERS, POLICY, STRICT_POLICY
from kilonet.serve.problems import Problem

MOST_HEAD = 65_536  # bytes of a request's line and headers: the parser itself would take any number


class Protocol(HttpToolsProtocol):
    """Uvicorn's, but for its answer to what is no HTTP, and with an end to headers."""

    _head = 0  # bytes since the head began; none of it is over yet

    def data_received(self, data: bytes) -> None:
        """Parse what has come."""
        self._head += len(data)
        super().data_received(data)
        if self._head > MOST_HEAD and not self.transport.is_closing():
            self._refuse(Problem(431, f"The headers have more than {MOST_HEAD:,} bytes."))

    def on_headers_complete(self) -> None:
        """Begin with a request whose headers have come."""
        super().on_headers_complete()
        self._head = 0

    def on_body(self, body: bytes) -> None:
        """Take a part of a request's body."""
        super().on_body(body)
        self._head = 0

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002
        """Answer what is no HTTP."""
        self._refuse(Problem(400, "This is not HTTP/1.1. Send a request that is."))

    def _refuse(self, problem: Problem) -> None:
        """Answer with ``problem``, unless an answer is under way, and close the connection."""
        if self.cycle is None or self.cycle.response_complete:
            response = problem.response()
            headers = [*response.raw_headers, *HEADERS, (POLICY, STRICT_POLICY.encode("ascii"))]
            lines = [name + b": " + value for name, value in (*headers, (b"connection", b"close"))]
            status = f"HTTP/1.1 {problem.status} {problem.body['title']}".encode("ascii")
            head = b"\r\n".join([status, *lines, b"", b""])
            self.transport.write(head + bytes(response.body))
        self.transport.close()
