"""Hostile requests: no response may be a fault, no worker lost, no later prediction wrong.

They are truncated, damaged and false pictures, decompression bombs, deep and huge JSON, broken
forms and malformed HTTP. ``KILONET_HOSTILE_REQUESTS=10000 pytest`` with this file sends more.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from hostile_requests import PNG, HostileRequest, hostile, picture

from classifier import write_classifier
from service import live

NUMBER = int(os.environ.get("KILONET_HOSTILE_REQUESTS", "300"))
ALLOWED = {200, 400, 401, 404, 405, 408, 413, 415, 422, 431, 503}
PROBE_EVERY = 50  # requests
TIMEOUT = 60.0  # seconds
LOST = "A worker was lost."
KINDS = {
    *("truncated", "damaged", "false-header", "noise", "bomb", "json", "form", "request", "raw"),
}
Response = tuple[int, dict[str, str], bytes]


class FuzzResult:
    """The number of responses by kind and status, and every fault."""

    def __init__(self) -> None:
        self.responses: Counter[tuple[str, int]] = Counter()
        self.faults: list[str] = []

    def judge(self, kind: str, status: int, headers: dict[str, str], body: bytes) -> None:
        """Record one response, and a fault if it has one."""
        self.responses[kind, status] += 1
        text = f"{kind}: {status} {body[:200]!r}"
        # "unprepared" names an unexpected exception in the preparation of a picture.
        if status not in ALLOWED or b"unprepared" in body:
            self.faults.append(text)
        elif status == 503 and "retry-after" not in headers:
            self.faults.append(f"{text}, without Retry-After")
        elif status >= 400 and not _is_problem(status, headers, body):
            self.faults.append(f"{text}, which is not a problem document")


def _is_problem(status: int, headers: dict[str, str], body: bytes) -> bool:
    if headers.get("content-type") != "application/problem+json":
        return False
    if not body:
        return True  # a response to HEAD
    found = json.loads(body)
    return bool(found["status"] == status and found["detail"] and found["reason"])


def attack(host: str, port: int, requests: Iterable[HostileRequest]) -> FuzzResult:
    """Send ``requests`` one by one, and a correct picture after every fifty."""
    found = FuzzResult()
    for number, request in enumerate(requests):
        if request.raw is None:
            found.judge(request.kind, *_response(host, port, request))
        else:
            _judge_raw(found, request, _raw_response(host, port, request.raw))
        if number % PROBE_EVERY == 0:
            _probe(host, port, found)
    _probe(host, port, found)
    return found


def _probe(host: str, port: int, found: FuzzResult) -> None:
    """Check that a correct picture is predicted, and that no worker was lost."""
    probe = HostileRequest("probe", headers={"Content-Type": PNG}, body=picture("PNG"))
    status, _, body = _response(host, port, probe)
    found.responses["probe", status] += 1
    if status != 200 or json.loads(body)["digit"] != "0":
        found.faults.append(f"a correct picture: {status} {body[:200]!r}")
    _, _, metrics = _response(host, port, HostileRequest("metrics", "GET", "/metrics"))
    if b"worker-lost" in metrics and LOST not in found.faults:
        found.faults.append(LOST)


def _response(host: str, port: int, request: HostileRequest) -> Response:
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT)
    with contextlib.closing(connection):
        connection.request(request.method, request.path, request.body, request.headers)
        response = connection.getresponse()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return response.status, headers, response.read()


def _raw_response(host: str, port: int, content: bytes) -> bytes:
    chunks = []
    connection = socket.create_connection((host, port), TIMEOUT)
    with connection, contextlib.suppress(ConnectionError):
        connection.sendall(content)
        connection.shutdown(socket.SHUT_WR)
        while chunk := connection.recv(65536):
            chunks.append(chunk)
    return b"".join(chunks)


def _judge_raw(found: FuzzResult, request: HostileRequest, response: bytes) -> None:
    """Judge a raw response: closing the connection is allowed, a 500 is not."""
    if not response:
        found.responses[request.kind, 0] += 1
        return
    head, _, body = response.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    body = body[: int(headers.get("content-length", "0"))]
    found.judge(request.kind, int(first.split()[1]), headers, body)


def test_the_same_seed_is_the_same_requests() -> None:
    first, second = (list(hostile(3, 200)) for _ in range(2))
    assert first == second
    assert {request.kind for request in first} == KINDS
    assert first != list(hostile(4, 200))


def test_a_service_under_attack(tmp_path: Path) -> None:
    model = write_classifier(tmp_path / "templates.onnx")
    with live(model, "--body-seconds", "1") as service:
        found = attack("127.0.0.1", service.port, hostile(1, NUMBER))
        assert found.faults == []
        assert {kind for kind, _ in found.responses} == KINDS | {"probe"}
        assert [line for line in service.log() if line["level"] == "error"] == []
        assert service.stop() == 0


def test_what_is_judged_a_fault() -> None:
    found = FuzzResult()
    problem = {"content-type": "application/problem+json"}
    found.judge("a", 500, problem, b"{}")
    found.judge("b", 503, problem, b'{"status": 503, "detail": "x", "reason": "y"}')
    found.judge("c", 404, {"content-type": "text/plain"}, b"")
    found.judge("d", 404, problem, b'{"status": 400, "detail": "x", "reason": "y"}')
    found.judge("e", 404, problem, b'{"status": 404, "detail": "x", "reason": "y"}')
    assert [fault[0] for fault in found.faults] == ["a", "b", "c", "d"]
