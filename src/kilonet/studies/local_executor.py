"""Make runs on this machine: each worker process makes one run after another.

A worker receives jobs on its standard input and ends when that closes, so it never outlives the
coordinator, even if that is killed.
"""

from __future__ import annotations

import json
import queue
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kilonet.errors import StudyError
from kilonet.machine import physical_cores, python_module
from kilonet.recipe.schema import Recipe
from kilonet.studies.coordinator import (
    EpochFinished,
    Event,
    RunFailed,
    RunFinished,
    RunLost,
    RunPruned,
    WorkerSilent,
)
from kilonet.studies.plan import RunJob

WORKER_MODULE = "kilonet.studies.worker"
SECONDS_TO_END = 5
SILENT_SECONDS, LOST_SECONDS = 120.0, 900.0  # without a sign of life: reported, and ended
MAX_STEP = 5.0  # seconds between two checks that count


class LocalExecutor:
    """Makes runs in the folder ``runs`` with up to ``slots`` processes, started when needed.

    The processes share ``gpus`` CUDA devices; with 0 they compute on the CPU.
    """

    def __init__(self, slots: int, runs: Path, data_dir: str | Path | None, gpus: int = 0) -> None:
        self.slots = slots
        self._gpus = gpus
        self._paths = {"folder": str(runs), "data_dir": str(data_dir) if data_dir else None}
        self._received: queue.Queue[tuple[int, str | None]] = queue.Queue()
        self._workers: list[_WorkerProcess | None] = [None] * slots
        self._jobs: list[str | None] = [None] * slots
        self._silence = [0.0] * slots  # seconds since the last line of a worker with a job
        self._checked = time.monotonic()

    def warm_up(self, workers: int) -> None:
        """Start up to ``workers`` workers; they load PyTorch in the background."""
        for slot in range(min(workers, self.slots)):
            self._worker(slot)

    def submit(self, job: RunJob) -> None:
        """Give ``job`` to a free worker."""
        slot = self._jobs.index(None)
        self._jobs[slot], self._silence[slot] = job.name, 0.0
        self._send(slot, {**self._paths, "job": asdict(job)})

    def reply(self, job: str, proceed: bool) -> None:
        """Tell the worker of ``job`` whether to continue."""
        self._send(self._jobs.index(job), {"proceed": proceed})

    def wait(self, seconds: float) -> Sequence[Event]:
        """Return the events from the workers; wait up to ``seconds`` for the first."""
        events = self._silent_workers()
        until = time.monotonic() + seconds
        try:
            while not events:
                slot, line = self._received.get(timeout=max(0.0, until - time.monotonic()))
                events += self._events(slot, line)
            while True:
                events += self._events(*self._received.get_nowait())
        except queue.Empty:
            return events

    def close(self) -> None:
        """End the workers; the completed epochs of unfinished runs are kept."""
        for worker in filter(None, self._workers):
            worker.end()
        self._workers = [None] * self.slots

    def _worker(self, slot: int) -> _WorkerProcess:
        """Return the worker of a slot; start it if there is none."""
        worker = self._workers[slot]
        if worker is None:
            try:
                worker = _WorkerProcess(self._variables(slot))
            except OSError as error:
                raise StudyError(
                    f"Cannot start a worker process: {error.strerror or error}. If the system has "
                    "no more memory or processes, use fewer workers: --jobs 1"
                ) from None
            self._workers[slot] = worker
            threading.Thread(target=self._receive, args=(slot, worker), daemon=True).start()
        return worker

    def _variables(self, slot: int) -> dict[str, str]:
        """Return the environment variables of one worker: its number of threads, its GPU."""
        gpu = {"CUDA_VISIBLE_DEVICES": str(slot % self._gpus)} if self._gpus else {}
        return {"OMP_NUM_THREADS": "1", **gpu}

    def _send(self, slot: int, message: dict[str, Any]) -> None:
        with suppress(OSError):  # it has ended, and the receiving thread reports that
            self._worker(slot).send(message)

    def _receive(self, slot: int, worker: _WorkerProcess) -> None:
        for line in worker.lines():
            self._received.put((slot, line))
        self._received.put((slot, None))

    def _events(self, slot: int, line: str | None) -> list[Event]:
        """Return the event of a line from a worker; None is the end of its output."""
        job, silence = self._jobs[slot], self._silence[slot]
        self._silence[slot] = 0.0
        if line is None:
            return self._worker_ended(slot, job, silence)
        message = json.loads(line)
        if job is None or message["kind"] == "alive":
            return []
        if message["kind"] == "epoch":
            return [EpochFinished(job, message["row"])]
        self._jobs[slot] = None
        if message["kind"] == "failed":
            return [RunFailed(job, message["message"], message["fatal"])]
        return [RunFinished(job) if message["kind"] == "finished" else RunPruned(job)]

    def _silent_workers(self) -> list[Event]:
        """Return an event for each worker that has become silent; kill those that stay so.

        Time in which this process itself did not run does not count.
        """
        now = time.monotonic()
        passed, self._checked = min(now - self._checked, MAX_STEP), now
        events: list[Event] = []
        for slot, (worker, job) in enumerate(zip(self._workers, self._jobs, strict=True)):
            if worker is None or job is None:
                continue
            before, self._silence[slot] = self._silence[slot], self._silence[slot] + passed
            if before < SILENT_SECONDS <= self._silence[slot]:
                events.append(
                    WorkerSilent(
                        job,
                        f"its worker, process {worker.pid}, has given no sign of life for "
                        f"{SILENT_SECONDS:g} seconds; it is ended after {LOST_SECONDS:g}.",
                    )
                )
            if before < LOST_SECONDS <= self._silence[slot]:
                worker.kill()
        return events

    def _worker_ended(self, slot: int, job: str | None, silence: float) -> list[Event]:
        worker, self._workers[slot] = self._workers[slot], None
        if worker is None:
            return []
        reason = worker.exit_reason(SECONDS_TO_END)
        if silence >= LOST_SECONDS:
            reason = f"no sign of life for {LOST_SECONDS:g} seconds"
        worker.end()
        self._jobs[slot] = None
        return [RunLost(job, reason)] if job is not None else []


class _WorkerProcess:
    """A process that runs ``WORKER_MODULE`` with extra environment ``variables``.

    It has its own process group, so that Ctrl-C reaches only the coordinator.

    Raises:
        OSError: the system cannot start another process.
    """

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._stderr = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115
        command, environment = python_module(WORKER_MODULE)
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                text=True,
                env={**environment, **variables},
                start_new_session=True,
            )
        except OSError:
            self._stderr.close()
            raise
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._stdin, self._stdout = self._process.stdin, self._process.stdout

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    def kill(self) -> None:
        """Kill it; its output ends."""
        self._process.kill()

    def send(self, message: dict[str, Any]) -> None:
        """Send ``message`` as one line of JSON.

        Raises:
            OSError: the process has ended.
        """
        self._stdin.write(f"{json.dumps(message)}\n")
        self._stdin.flush()

    def lines(self) -> Iterator[str]:
        """Yield the lines that it writes, until it ends."""
        with suppress(ValueError):  # closed by ``end``
            yield from self._stdout

    def exit_reason(self, seconds: float) -> str:
        """Return its exit status and its last line on standard error; wait up to ``seconds``."""
        status = 0
        with suppress(subprocess.TimeoutExpired):
            status = self._process.wait(seconds)
        self._stderr.seek(0)
        lines = self._stderr.read().strip().splitlines()
        return f"exit status {status}" + (f": {lines[-1]}" if lines else "")

    def end(self) -> None:
        """Kill it and close its streams."""
        self._process.kill()
        self._process.wait()
        for stream in (self._stdin, self._stdout, self._stderr):
            with suppress(OSError):  # of a message that it did not read
                stream.close()


def local_executor(
    recipe: Recipe, runs: Path, data_dir: str | Path | None, jobs: int | None
) -> LocalExecutor:
    """Return an executor with ``jobs`` workers; by default one for each core, or for each GPU."""
    gpus = _gpus(recipe)
    slots = gpus or physical_cores() // (recipe.training.threads or 1)
    return LocalExecutor(jobs or max(1, slots), runs, data_dir, gpus)


def _gpus(recipe: Recipe) -> int:
    """Return how many CUDA devices the runs share; load PyTorch only if there may be one."""
    if recipe.training.device not in ("auto", "cuda") or not any(Path("/dev").glob("nvidia[0-9]*")):
        return 0
    import torch

    return torch.cuda.device_count()
