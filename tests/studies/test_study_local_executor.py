"""Workers on this machine that are frozen, slow, or only seem so."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from kilonet.studies import local_executor
from kilonet.studies.coordinator import Coordinator, FixedJobs, RunFinished, RunLost, WorkerSilent
from kilonet.studies.local_executor import LocalExecutor
from kilonet.studies.plan import RunJob

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no process can be frozen")

FROZEN_ONCE = """
import os, pathlib, signal, sys
sys.stdin.readline()
marker = pathlib.Path(os.environ["MARKER"])
if not marker.exists():
    marker.touch()
    os.kill(os.getpid(), signal.SIGSTOP)
print('{"kind": "finished"}', flush=True)
sys.stdin.read()
"""
SLOW = """
import sys, time
sys.stdin.readline()
for _ in range(12):
    time.sleep(0.25)
    print('{"kind": "alive"}', flush=True)
print('{"kind": "finished"}', flush=True)
sys.stdin.read()
"""
JOB = RunJob("a", "quick", "")


def events_of(code: str, folder: Path, patch: pytest.MonkeyPatch, pause: float = 0) -> list[Any]:
    """Return the events of one run, made by a worker that runs ``code``."""
    (folder / "worker_of_a_test.py").write_text(code, encoding="utf-8")
    patch.syspath_prepend(str(folder))
    patch.setenv("MARKER", str(folder / "marker"))
    patch.setattr(local_executor, "WORKER_MODULE", "worker_of_a_test")
    events: list[Any] = []
    executor = LocalExecutor(1, folder, None)
    executor._checked -= pause
    try:
        Coordinator(FixedJobs([JOB]), executor, events.append).run()
    finally:
        executor.close()
    return events


def test_a_frozen_worker_is_named_and_its_run_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_executor, "SILENT_SECONDS", 0.5)
    monkeypatch.setattr(local_executor, "LOST_SECONDS", 1.5)
    silent, lost, finished = events_of(FROZEN_ONCE, tmp_path, monkeypatch)
    assert isinstance(silent, WorkerSilent)
    assert "process" in silent.message
    assert lost == RunLost("a", "no sign of life for 1.5 seconds")
    assert finished == RunFinished("a")


def test_a_slow_worker_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_executor, "LOST_SECONDS", 2.5)
    assert events_of(SLOW, tmp_path, monkeypatch) == [RunFinished("a")]


def test_a_pause_of_the_coordinator_is_not_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert events_of(SLOW, tmp_path, monkeypatch, pause=3600) == [RunFinished("a")]
