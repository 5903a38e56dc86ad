"""Run a study in a separate process, which tests can stop."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

PATIENCE = 600  # seconds; a busy machine may need many for the work of a few
CLOCKS = {"seconds"}


class StudyProcess:
    """``kilonet study`` with some arguments; its output goes to ``log.txt``."""

    def __init__(self, studies: Path, *words: str) -> None:
        self._log = (studies.parent / "log.txt").open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "kilonet", "study", *words],
            env={**os.environ, "KILONET_STUDIES": str(studies)},
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )

    def workers(self) -> list[int]:
        """Return the running processes that it has started."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and parent_of(int(entry.name)) == self.process.pid:
                found.append(int(entry.name))
        return found

    def some_workers(self) -> list[int]:
        """Wait until it has started some processes, and return them."""
        until = time.monotonic() + PATIENCE
        while not (found := self.workers()):
            assert time.monotonic() < until
            assert self.process.poll() is None
            time.sleep(0.02)
        return found

    def wait(self) -> int:
        """Return its exit status."""
        try:
            return self.process.wait(PATIENCE)
        finally:
            self.process.kill()
            self.process.wait()
            self._log.close()

    def kill(self) -> None:
        """End it with SIGKILL."""
        self.process.kill()
        self.wait()


def parent_of(process: int) -> int | None:
    """Return the parent of a running process, else None."""
    try:
        fields = (
            Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        )
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[1])


def gone(processes: list[int]) -> bool:
    """Wait until none of ``processes`` runs; return False after 30 seconds."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        if all(parent_of(process) is None for process in processes):
            return True
        time.sleep(0.05)
    return False


def results(study: Path) -> Any:
    """Return a study's results without the measured times."""
    return _without_clocks(json.loads((study / "results.json").read_text(encoding="utf-8")))


def _without_clocks(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_clocks(v) for k, v in value.items() if k not in CLOCKS}
    return [_without_clocks(each) for each in value] if isinstance(value, list) else value
