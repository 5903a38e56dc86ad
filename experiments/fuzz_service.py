"""Attack a service with hostile requests and judge every answer.

    python experiments/fuzz_service.py MODEL.onnx --requests 10000 --seed 0

Starts ``kilonet serve`` on a free port, sends it truncated, damaged and lying pictures, bombs, deep
and huge JSON, broken forms and what is no HTTP, and checks: never a 500, 503 only with Retry-After,
every error a problem document, no worker lost, and a right picture read rightly after every fifty.
The model must know a 0. Exits 1 if anything was otherwise. ``--store`` writes what was found to
``results/fuzz.json``, for ``docs/shipping.md``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from kilonet.files import write_text
from kilonet.runs.environment import environment
from serving.attack import attack
from serving.hostile import hostile

RESULTS = Path(__file__).resolve().parents[1] / "results" / "fuzz.json"


@contextlib.contextmanager
def running(model: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Start a service; yield its process and port; stop it."""
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


def resident(process: int) -> int:
    """Return the resident memory of a process and its children, in bytes."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    pages = [int(Path(f"/proc/{one}/statm").read_text().split()[1]) for one in (process, *children)]
    return sum(pages) * 4096


def main(arguments: list[str] | None = None) -> int:
    """Attack; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--store", action="store_true", help="write results/fuzz.json")
    given = parser.parse_args(arguments)
    with running(given.model, "--workers", "2", "--body-seconds", "2") as (process, port):
        found = attack("127.0.0.1", port, hostile(given.seed, given.requests))
        memory = resident(process.pid)
    for (kind, status), count in sorted(found.answers.items()):
        print(f"{kind:<10} {status or 'closed':>6} {count:>6}")
    for fault in found.faults:
        print(f"Fault: {fault}", file=sys.stderr)
    print(
        f"{given.requests} requests, {len(found.faults)} faults, {memory / 1e6:.0f} MB in the end"
    )
    if given.store:
        statuses: Counter[str] = Counter()
        for (_, status), count in found.answers.items():
            statuses[str(status or "closed")] += count
        content = {
            "requests": given.requests,
            "seed": given.seed,
            "faults": found.faults,
            "statuses": dict(sorted(statuses.items())),
            "bytes": memory,
            "date": datetime.now(UTC).date().isoformat(),
            "environment": environment("cpu", 1),
        }
        write_text(RESULTS, json.dumps(content, indent=1) + "\n")
    return int(bool(found.faults))


if __name__ == "__main__":
    sys.exit(main())
