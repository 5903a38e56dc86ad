"""HTTP itself: what cannot be parsed is answered with a problem too."""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from kilonet.serve.edge import HEADERS, POLICY, STRICT_POLICY
from kilonet.serve.problems import Problem


class Protocol(HttpToolsProtocol):
    """Uvicorn's, but for its answer to what is no HTTP."""

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002
        """Answer with a problem, and close the connection."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.transport.close()  # an answer is under way: nothing may go between its bytes
            return
        response = Problem(400, "This is not HTTP/1.1. Send a request that is.").response()
        headers = [*response.raw_headers, *HEADERS, (POLICY, STRICT_POLICY.encode("ascii"))]
        lines = [name + b": " + value for name, value in (*headers, (b"connection", b"close"))]
        head = b"\r\n".join([b"HTTP/1.1 400 Bad Request", *lines, b"", b""])
        self.transport.write(head + bytes(response.body))
        self.transport.close()
