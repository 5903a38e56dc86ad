"""Sends hostile requests to a service and judges its answers."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from collections import Counter
from collections.abc import Iterable

from serving.hostile import PNG, Hostile, picture

ALLOWED = {200, 400, 401, 404, 405, 408, 413, 415, 422, 431, 503}
PROBE_EVERY = 50  # requests, after which a right picture must be read rightly
PATIENCE = 60.0
LOST = "A worker was lost."


class Judgement:
    """What was answered, by kind and status, and every answer that should not have been."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.answers: Counter[tuple[str, int]] = Counter()
        self.faults: list[str] = []

    def judge(self, kind: str, status: int, headers: dict[str, str], body: bytes) -> None:
        """Note one answer."""
        self.answers[kind, status] += 1
        said = f"{kind}: {status} {body[:200]!r}"
        if status not in ALLOWED or b"unprepared" in body:
            self.faults.append(said)
        elif status == 503 and "retry-after" not in headers:
            self.faults.append(f"{said}, without Retry-After")
        elif status >= 400 and not _is_problem(status, headers, body):
            self.faults.append(f"{said}, which is no problem document")


def _is_problem(status: int, headers: dict[str, str], body: bytes) -> bool:
    if headers.get("content-type") != "application/problem+json":
        return False
    if not body:
        return True  # an answer to HEAD
    found = json.loads(body)
    return bool(found["status"] == status and found["detail"] and found["reason"])


def attack(host: str, port: int, requests: Iterable[Hostile]) -> Judgement:
    """Send ``requests`` one by one, a right picture among them every now and then."""
    found = Judgement()
    for number, request in enumerate(requests):
        if request.raw is None:
            found.judge(request.kind, *_answer(host, port, request))
        else:
            _judge_raw(found, request, _raw_answer(host, port, request.raw))
        if number % PROBE_EVERY == 0:
            probe(host, port, found)
    probe(host, port, found)
    return found


def probe(host: str, port: int, found: Judgement) -> None:
    """Check that a right picture is still read, and that no worker was ever lost."""
    right = Hostile("right", headers={"Content-Type": PNG}, body=picture("PNG"))
    status, _, body = _answer(host, port, right)
    found.answers["right", status] += 1
    if status != 200 or json.loads(body)["digit"] != "0":
        found.faults.append(f"a right picture: {status} {body[:200]!r}")
    _, _, metrics = _answer(host, port, Hostile("metrics", "GET", "/metrics"))
    if b"worker-lost" in metrics and LOST not in found.faults:
        found.faults.append(LOST)


def _answer(host: str, port: int, request: Hostile) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(host, port, timeout=PATIENCE)
    with contextlib.closing(connection):
        connection.request(request.method, request.path, request.body, request.headers)
        answer = connection.getresponse()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, headers, answer.read()


def _raw_answer(host: str, port: int, content: bytes) -> bytes:
    chunks = []
    connection = socket.create_connection((host, port), PATIENCE)
    with connection, contextlib.suppress(ConnectionError):
        connection.sendall(content)
        connection.shutdown(socket.SHUT_WR)
        while chunk := connection.recv(65536):
            chunks.append(chunk)
    return b"".join(chunks)


def _judge_raw(found: Judgement, request: Hostile, answer: bytes) -> None:
    """The connection may be closed without a word, but what is said is HTTP, and no 500."""
    if not answer:
        found.answers[request.kind, 0] += 1
        return
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    body = body[: int(headers.get("content-length", "0"))]
    found.judge(request.kind, int(first.split()[1]), headers, body)
