"""Workers on this machine: a process each, which makes one run after another.

A worker hears its jobs on its standard input, and ends when that closes: none outlives the
coordinator, however that one ends.
"""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kilonet.errors import StudyError, WorkerLostError
from kilonet.studies.places import Done, Epoch, Event, Failed, Lost, Pruned
from kilonet.studies.plan import Job
from kilonet.training.process import HelperProcess

WORKER = "kilonet.workflows.study_worker"
SECONDS_TO_END = 5


class LocalWorkers:
    """``size`` processes that make runs in the folder ``runs``; each is started when it is needed.

    ``gpus`` is how many CUDA devices they share among them, 0 where they compute on the CPU.
    """

    def __init__(self, size: int, runs: Path, data_dir: Path | None, gpus: int = 0) -> None:
        self.size = size
        self._gpus = gpus
        self._where = {"folder": str(runs), "data_dir": str(data_dir) if data_dir else None}
        self._heard: queue.Queue[tuple[int, str | None]] = queue.Queue()
        self._processes: list[HelperProcess | None] = [None] * size
        self._jobs: list[str | None] = [None] * size

    def warm_up(self, workers: int) -> None:
        """Start as many ``workers``: they load PyTorch while this process goes on."""
        for place in range(min(workers, self.size)):
            self._process(place)

    def begin(self, job: Job) -> None:
        """Give ``job`` to a worker that is free."""
        place = self._jobs.index(None)
        self._jobs[place] = job.name
        self._tell(place, {**self._where, "job": asdict(job)})

    def answer(self, job: str, go_on: bool) -> None:
        """Tell the worker of ``job`` whether to go on."""
        self._tell(self._jobs.index(job), {"go_on": go_on})

    def wait(self, seconds: float) -> Sequence[Event]:
        """Return what the workers have said."""
        events: list[Event] = []
        until = time.monotonic() + seconds
        try:
            while not events:  # what a worker says before it has a job is no event
                place, line = self._heard.get(timeout=max(0.0, until - time.monotonic()))
                events += self._events(place, line)
            while True:
                events += self._events(*self._heard.get_nowait())
        except queue.Empty:
            return events

    def close(self) -> None:
        """End the workers; whole epochs of what they were at are kept."""
        for process in filter(None, self._processes):
            process.end()
        self._processes = [None] * self.size

    def _process(self, place: int) -> HelperProcess:
        """Return the process of a worker, starting it if there is none."""
        process = self._processes[place]
        if process is None:
            try:
                process = HelperProcess(WORKER, self._variables(place))
            except OSError as error:
                raise StudyError(
                    f"A worker could not be started: {error.strerror or error}. Make room for "
                    "it, or use fewer: --jobs 1"
                ) from None
            self._processes[place] = process
            listening = threading.Thread(target=self._listen, args=(place, process), daemon=True)
            listening.start()
        return process

    def _variables(self, place: int) -> dict[str, str]:
        """Return what a worker's environment has of its own: a core's threads, a GPU."""
        gpu = {"CUDA_VISIBLE_DEVICES": str(place % self._gpus)} if self._gpus else {}
        return {"OMP_NUM_THREADS": "1", **gpu}

    def _tell(self, place: int, message: dict[str, Any]) -> None:
        with suppress(WorkerLostError):  # the thread that listens to it says so
            self._process(place).tell(message)

    def _listen(self, place: int, process: HelperProcess) -> None:
        for line in process.heard():
            self._heard.put((place, line))
        self._heard.put((place, None))

    def _events(self, place: int, line: str | None) -> list[Event]:
        job = self._jobs[place]
        if line is None:
            return self._ended(place, job)
        event = json.loads(line)
        if job is None:
            return []
        if event["kind"] == "epoch":
            return [Epoch(job, event["row"])]
        self._jobs[place] = None
        if event["kind"] == "failed":
            return [Failed(job, event["message"], event["fatal"])]
        return [Done(job) if event["kind"] == "done" else Pruned(job)]

    def _ended(self, place: int, job: str | None) -> list[Event]:
        process, self._processes[place] = self._processes[place], None
        if process is None:
            return []
        status, words = process.failure(time.monotonic() + SECONDS_TO_END) or (0, "")
        process.end()
        self._jobs[place] = None
        reason = f"exit status {status}" + (f": {words}" if words else "")
        return [Lost(job, reason)] if job is not None else []
