"""Measure how many predictions a second ``kilonet serve`` makes, and whether its memory stays flat.

    python experiments/measure_service.py runs/fast-99.4-1 --seconds 30 --requests 100000

Starts the service on a free port of this machine, loads it with wrk (apt-get install wrk) over 64
connections with 280×280 PNGs in grey, colour and with opacity, and writes ``results/service.json``.
The client shares the machine's cores, and its share is stored, as is the share of other programs;
measure on a quiet machine.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fuzz_service import running
from kilonet.errors import KilonetError
from kilonet.files import write_text
from kilonet.inference.model import find_model
from kilonet.runs.environment import environment
from serving.load import TICKS, Processes, run_wrk, write_pictures

RESULTS = Path(__file__).resolve().parents[1] / "results"
PACKAGES = ("fastapi", "onnxruntime", "uvicorn")
WARM_UP = 3.0  # seconds


def busy() -> float:
    """Return how long all processors together have been busy, in seconds."""
    words = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    idle = int(words[3]) + int(words[4])
    return (sum(map(int, words[:8])) - idle) / TICKS


def measure(
    url: str, folder: Path, processes: Processes, given: argparse.Namespace
) -> dict[str, Any]:
    """Return the figures of one load, and what else the machine did meanwhile."""
    before, others, began = processes.seconds(), busy(), time.monotonic()
    load = run_wrk(url, folder, given.connections, given.seconds)
    taken, all_of_it = time.monotonic() - began, busy() - others
    front, *workers = [(b - a) / taken for a, b in zip(before, processes.seconds(), strict=True)]
    load |= {"front_cores": front, "worker_cores": sum(workers)}
    ours = front + sum(workers) + load["client_cores"]
    return {"busy": max(0.0, all_of_it / taken - ours), "load": load}


def memory(
    url: str, folder: Path, processes: Processes, given: argparse.Namespace
) -> list[dict[str, int]]:
    """Return the memory after more and more requests."""
    found, requests = [], 0
    while True:
        requests += int(run_wrk(url, folder, given.connections, 5)["requests"])
        found.append({"requests": requests, "bytes": processes.memory()})
        if requests >= given.requests:
            return found


def main(arguments: list[str] | None = None) -> int:
    """Measure, and write the results; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", nargs="?", help="a run or an ONNX file (default: kilonet-25k)")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--requests", type=int, default=100_000)
    given = parser.parse_args(arguments)
    try:
        model = find_model(given.model)
        options = ["--workers", str(given.workers), "--max-at-once", str(2 * given.connections)]
        with tempfile.TemporaryDirectory() as name, running(model, *options) as (process, port):
            folder, processes, url = Path(name), Processes(process.pid), f"http://127.0.0.1:{port}"
            write_pictures(folder)
            run_wrk(url, folder, given.connections, WARM_UP)
            found = measure(url, folder, processes, given)
            found |= {"memory": memory(url, folder, processes, given)}
    except KilonetError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    found |= {
        "model": model.parent.name if model.name == "model.onnx" else model.name,
        "workers": given.workers,
        "connections": given.connections,
        "date": datetime.now(UTC).date().isoformat(),
        "environment": environment("cpu", 1) | {name: version(name) for name in PACKAGES},
    }
    write_text(RESULTS / "service.json", json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
