"""Measure `kilonet serve` under load.

    python experiments/measure_service.py RUN --seconds 30 --requests 100000

Starts the service on a free port of this machine, sends 280×280 PNGs in grey, colour and with
transparency over 64 connections with wrk (apt-get install wrk), and writes
``results/service.json``: throughput, latency, the cores that each process used, and the memory
after more and more requests. Measure on a quiet machine.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from PIL import Image, ImageDraw, ImageFont

from kilonet.errors import KilonetError, UsageError
from kilonet.files import write_text
from kilonet.inference.model import find_model
from kilonet.machine import processors
from kilonet.runs.environment import environment

RESULT = Path(__file__).resolve().parents[1] / "results" / "service.json"
SCRIPT = Path(__file__).with_name("wrk.lua")
PACKAGES = ("fastapi", "onnxruntime", "uvicorn")
SIDE, MODES, PICTURES = 280, ("L", "RGB", "RGBA"), 90  # each digit three times in each mode
WARM_UP = 3.0  # seconds


@contextlib.contextmanager
def running(model: Path, *options: str) -> Iterator[tuple[psutil.Process, str]]:
    """Start a service, yield its process and address, and stop it."""
    words = [sys.executable, "-m", "kilonet", "serve", str(model), "--port", "0", *options]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            yield psutil.Process(process.pid), line.split()[2]
        finally:
            process.send_signal(signal.SIGTERM)


def seconds_of(service: psutil.Process) -> list[float]:
    """Return the CPU time of the HTTP process, then of each worker."""
    times = (process.cpu_times() for process in (service, *service.children()))
    return [each.user + each.system for each in times]


def memory_of(service: psutil.Process) -> int:
    """Return the memory of all its processes in bytes; shared memory counts once (PSS)."""
    return sum(each.memory_full_info().pss for each in (service, *service.children()))


def write_pictures(folder: Path, seed: int = 0) -> int:
    """Write PNGs of digits, in grey, colour and with transparency; return their number."""
    rng = np.random.default_rng(seed)
    for number in range(PICTURES):
        image = Image.new("L", (SIDE, SIDE), 255)
        font = ImageFont.load_default(int(rng.integers(120, 240)))
        place = tuple(rng.integers(20, 110, 2).tolist())
        ImageDraw.Draw(image).text(place, str(number // 3 % 10), 20, font)
        angle = float(rng.uniform(-15, 15))
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
    before = psutil.Process().cpu_times()
    try:
        result = subprocess.run(words, capture_output=True, text=True, check=True)
    except FileNotFoundError:
        raise UsageError("wrk is not installed. Install it: apt-get install wrk") from None
    after = psutil.Process().cpu_times()
    figures: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    used = sum(
        getattr(after, f"children_{kind}") - getattr(before, f"children_{kind}")
        for kind in ("user", "system")
    )
    return figures | {"client_cores": used / figures["seconds"]}


def _busy_seconds() -> float:
    """Return the CPU time of all processors since boot, without idle time."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0))


def measure(given: argparse.Namespace) -> dict[str, Any]:
    """Return throughput, latency, cores and memory of a service under load."""
    model = find_model(given.model)
    limit = str(2 * given.connections)
    options = ["--workers", str(given.workers), "--max-at-once", limit, "--max-per-client", limit]
    with tempfile.TemporaryDirectory() as name, running(model, *options) as (service, url):
        folder = Path(name)
        write_pictures(folder)
        run_wrk(url, folder, given.connections, WARM_UP)
        before, busy, began = seconds_of(service), _busy_seconds(), time.monotonic()
        load = run_wrk(url, folder, given.connections, given.seconds)
        elapsed, busy = time.monotonic() - began, _busy_seconds() - busy
        after = seconds_of(service)
        memory, requests = [], 0
        while requests < given.requests:
            requests += int(run_wrk(url, folder, given.connections, 5)["requests"])
            memory.append({"requests": requests, "bytes": memory_of(service)})
    front, *workers = [(b - a) / elapsed for a, b in zip(before, after, strict=True)]
    own = front + sum(workers) + load["client_cores"]
    return {
        "busy": max(0.0, busy / elapsed - own),
        "load": load | {"front_cores": front, "worker_cores": sum(workers)},
        "memory": memory,
        "model": model.parent.name if model.name == "model.onnx" else model.name,
        "workers": given.workers,
        "connections": given.connections,
        "date": datetime.now(UTC).date().isoformat(),
        "environment": environment("cpu", 1) | {name: version(name) for name in PACKAGES},
    }


def main() -> None:
    """Measure, store and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", nargs="?", help="a run or an ONNX file (kilonet-25k)")
    parser.add_argument("--workers", type=int, default=len(processors()))
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--requests", type=int, default=100_000)
    try:
        text = json.dumps(measure(parser.parse_args()), indent=1) + "\n"
    except KilonetError as error:
        sys.exit(str(error))
    write_text(RESULT, text)
    print(text)


if __name__ == "__main__":
    main()
