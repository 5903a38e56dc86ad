"""Run one contestant under the line protocol that ``meter`` describes.

    python -m benchmarks.contestants.host MODULE '{"data": "FOLDER", ...}' [--warmup N]

``MODULE.train(after_step, **options)`` is called with the given options.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys
import time
from importlib.metadata import version
from typing import Any, TextIO

STARTED = time.perf_counter()


def main() -> None:
    """Run the training loop under the meter. Only the meter writes to standard output."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("module")
    parser.add_argument("options", type=json.loads)
    parser.add_argument("--warmup", type=int, default=5)
    parser.add_argument("--packages", default="")
    given = parser.parse_args()
    responses = reserve_stdout()
    module = importlib.import_module(f"benchmarks.contestants.{given.module}")
    from benchmarks.contestants.meter import Meter

    meter = Meter(sys.stdin, responses, given.warmup, lambda: facts(given.packages, given.warmup))
    module.train(meter.after_step, **given.options)
    sys.exit(f"{given.module}: its training ended before the driver had enough steps")


def reserve_stdout() -> TextIO:
    """Return standard output, and send everything that libraries print to the log."""
    responses = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return responses


def facts(packages: str, warmup_steps: int) -> dict[str, Any]:
    """Return the facts about a contestant that the results contain."""
    versions = {name: version(name) for name in packages.split(",") if name}
    torch = sys.modules.get("torch")
    return {
        "startup_seconds": time.perf_counter() - STARTED,
        "warmup_steps": warmup_steps,
        "threads": torch.get_num_threads() if torch is not None else os.cpu_count(),
        "versions": {"python": platform.python_version(), **versions},
    }


if __name__ == "__main__":
    main()
