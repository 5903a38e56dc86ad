"""Measure `kilonet serve` under load, or send it hostile requests and check every response.

    python experiments/measure_service.py load RUN --seconds 30 --requests 100000
    python experiments/measure_service.py attack MODEL.onnx --requests 10000 --seed 0

Both start the service on a free port of this machine. ``load`` sends 280×280 PNGs in grey, colour
and with transparency over 64 connections with wrk (apt-get install wrk), and writes
``results/service.json``: throughput, latency, the cores that each process used, and the memory
after more and more requests. Measure on a quiet machine.

``attack`` sends truncated, damaged and false pictures, decompression bombs, deep and huge JSON,
broken forms and malformed HTTP. A fault is a 500, a 503 without Retry-After, an error that is not a
problem document, a lost worker, or a wrong prediction of the correct picture that is sent after
every fifty requests. The model must know the digit 0. Writes ``results/fuzz.json``; exits 1 after a
fault.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from hostile_requests import PNG, Hostile, hostile, picture
from kilonet.errors import KilonetError, UsageError
from kilonet.files import write_text
from kilonet.inference.model import find_model
from kilonet.runs.environment import environment

RESULTS = Path(__file__).resolve().parents[1] / "results"
SCRIPT = Path(__file__).with_name("wrk.lua")
PACKAGES = ("fastapi", "onnxruntime", "uvicorn")
SIDE, MODES, PICTURES = 280, ("L", "RGB", "RGBA"), 90  # each digit three times in each mode
TICKS = os.sysconf("SC_CLK_TCK")
WARM_UP = 3.0  # seconds
ALLOWED = {200, 400, 401, 404, 405, 408, 413, 415, 422, 431, 503}
PROBE_EVERY = 50  # requests
TIMEOUT = 60.0  # seconds
LOST = "A worker was lost."
Response = tuple[int, dict[str, str], bytes]


@contextlib.contextmanager
def running(model: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Start a service, yield its process and port, and stop it."""
    words = [sys.executable, "-m", "kilonet", "serve", str(model), "--port", "0", *options]
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=log, text=True)
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            if not line:
                log.seek(0)
                raise SystemExit(log.read())
            yield process, int(line.split()[3].rpartition(":")[2])
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()
            process.stdout.close()


@dataclass(frozen=True)
class Processes:
    """The processes of a service: the HTTP process and its workers."""

    main: int

    def all(self) -> list[int]:
        """Return their ids, the front process first."""
        listed = Path(f"/proc/{self.main}/task/{self.main}/children").read_text()
        return [self.main, *map(int, listed.split())]

    def seconds(self) -> list[float]:
        """Return the CPU time of each."""
        stats = (Path(f"/proc/{process}/stat").read_text() for process in self.all())
        fields = [stat.rpartition(")")[2].split() for stat in stats]
        return [(int(one[11]) + int(one[12])) / TICKS for one in fields]

    def memory(self) -> int:
        """Return their memory in bytes; shared memory counts once (PSS)."""
        rolled = [Path(f"/proc/{process}/smaps_rollup").read_text() for process in self.all()]
        return sum(int(text.split("\nPss:")[1].split()[0]) * 1024 for text in rolled)


def write_pictures(folder: Path, seed: int = 0) -> int:
    """Write PNGs of digits, in grey, colour and with transparency; return their number."""
    chance = np.random.default_rng(seed)
    for number in range(PICTURES):
        image = Image.new("L", (SIDE, SIDE), 255)
        font = ImageFont.load_default(int(chance.integers(120, 240)))
        place = tuple(chance.integers(20, 110, 2).tolist())
        ImageDraw.Draw(image).text(place, str(number // 3 % 10), 20, font)
        angle = float(chance.uniform(-15, 15))
        rotated = image.rotate(angle, Image.Resampling.BILINEAR, fillcolor=255)
        rotated.convert(MODES[number % 3]).save(folder / f"{number}.png")
    return PICTURES


def run_wrk(url: str, folder: Path, connections: int, seconds: float) -> dict[str, Any]:
    """Return what wrk measured, and the cores that wrk itself used.

    Raises:
        UsageError: wrk is not installed.
    """
    words = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--timeout", "30s"]
    words += ["-s", str(SCRIPT), url, "--", str(folder), str(PICTURES)]
    before = _children_seconds()
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=True)
    except FileNotFoundError:
        raise UsageError("wrk is not installed. Install it: apt-get install wrk") from None
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found | {"client_cores": (_children_seconds() - before) / found["seconds"]}


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _busy_seconds() -> float:
    """Return the CPU time of all processors since boot, without idle time."""
    words = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    return (sum(map(int, words[:8])) - int(words[3]) - int(words[4])) / TICKS


def measure_load(given: argparse.Namespace) -> dict[str, Any]:
    """Return throughput, latency, cores and memory of a service under load."""
    model = find_model(given.model)
    most = str(2 * given.connections)
    options = ["--workers", str(given.workers), "--max-at-once", most, "--max-per-client", most]
    with tempfile.TemporaryDirectory() as name, running(model, *options) as (process, port):
        folder, processes, url = Path(name), Processes(process.pid), f"http://127.0.0.1:{port}"
        write_pictures(folder)
        run_wrk(url, folder, given.connections, WARM_UP)
        before, busy, began = processes.seconds(), _busy_seconds(), time.monotonic()
        load = run_wrk(url, folder, given.connections, given.seconds)
        taken, busy = time.monotonic() - began, _busy_seconds() - busy
        after = processes.seconds()
        memory, requests = [], 0
        while requests < given.requests:
            requests += int(run_wrk(url, folder, given.connections, 5)["requests"])
            memory.append({"requests": requests, "bytes": processes.memory()})
    front, *workers = [(b - a) / taken for a, b in zip(before, after, strict=True)]
    own = front + sum(workers) + load["client_cores"]
    return {
        "busy": max(0.0, busy / taken - own),
        "load": load | {"front_cores": front, "worker_cores": sum(workers)},
        "memory": memory,
        "model": model.parent.name if model.name == "model.onnx" else model.name,
        "workers": given.workers,
        "connections": given.connections,
        "date": datetime.now(UTC).date().isoformat(),
        "environment": environment("cpu", 1) | {name: version(name) for name in PACKAGES},
    }


class Judgement:
    """The number of responses by kind and status, and every fault."""

    def __init__(self) -> None:
        self.responses: Counter[tuple[str, int]] = Counter()
        self.faults: list[str] = []

    def judge(self, kind: str, status: int, headers: dict[str, str], body: bytes) -> None:
        """Record one response, and a fault if it has one."""
        self.responses[kind, status] += 1
        text = f"{kind}: {status} {body[:200]!r}"
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


def attack(host: str, port: int, requests: Iterable[Hostile]) -> Judgement:
    """Send ``requests`` one by one, and a correct picture after every fifty."""
    found = Judgement()
    for number, request in enumerate(requests):
        if request.raw is None:
            found.judge(request.kind, *_response(host, port, request))
        else:
            _judge_raw(found, request, _raw_response(host, port, request.raw))
        if number % PROBE_EVERY == 0:
            _probe(host, port, found)
    _probe(host, port, found)
    return found


def _probe(host: str, port: int, found: Judgement) -> None:
    """Check that a correct picture is predicted, and that no worker was lost."""
    right = Hostile("right", headers={"Content-Type": PNG}, body=picture("PNG"))
    status, _, body = _response(host, port, right)
    found.responses["right", status] += 1
    if status != 200 or json.loads(body)["digit"] != "0":
        found.faults.append(f"a correct picture: {status} {body[:200]!r}")
    _, _, metrics = _response(host, port, Hostile("metrics", "GET", "/metrics"))
    if b"worker-lost" in metrics and LOST not in found.faults:
        found.faults.append(LOST)


def _response(host: str, port: int, request: Hostile) -> Response:
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


def _judge_raw(found: Judgement, request: Hostile, response: bytes) -> None:
    """Judge a raw response: closing the connection is allowed, a 500 is not."""
    if not response:
        found.responses[request.kind, 0] += 1
        return
    head, _, body = response.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    body = body[: int(headers.get("content-length", "0"))]
    found.judge(request.kind, int(first.split()[1]), headers, body)


def measure_attack(given: argparse.Namespace) -> dict[str, Any]:
    """Return the faults, the responses by status, and the memory at the end."""
    model = find_model(given.model)
    with running(model, "--workers", "2", "--body-seconds", "2") as (process, port):
        found = attack("127.0.0.1", port, hostile(given.seed, given.requests))
        memory = Processes(process.pid).memory()
    statuses: Counter[str] = Counter()
    for (_, status), count in found.responses.items():
        statuses[str(status or "closed")] += count
    return {
        "requests": given.requests,
        "seed": given.seed,
        "faults": found.faults,
        "statuses": dict(sorted(statuses.items())),
        "bytes": memory,
        "date": datetime.now(UTC).date().isoformat(),
        "environment": environment("cpu", 1),
    }


def main(arguments: list[str] | None = None) -> int:
    """Measure and store; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    load = commands.add_parser("load", help="throughput, latency and memory")
    load.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    load.add_argument("--connections", type=int, default=64)
    load.add_argument("--seconds", type=float, default=30)
    load.add_argument("--requests", type=int, default=100_000)
    hostile_ = commands.add_parser("attack", help="hostile requests")
    hostile_.add_argument("--requests", type=int, default=10_000)
    hostile_.add_argument("--seed", type=int, default=0)
    for command in (load, hostile_):
        command.add_argument("model", nargs="?", help="a run or an ONNX file (kilonet-25k)")
    given = parser.parse_args(arguments)
    measure, name = {
        "load": (measure_load, "service.json"),
        "attack": (measure_attack, "fuzz.json"),
    }[given.command]
    try:
        found = measure(given)
    except KilonetError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    write_text(RESULTS / name, json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))
    return int(bool(found.get("faults")))


if __name__ == "__main__":
    sys.exit(main())
