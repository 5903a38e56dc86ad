"""The helper processes of one that trains: started, put to work, watched, and ended."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from kilonet.errors import TrainingError, WorkerLostError
from kilonet.training.process import GAVE_UP, OTHERS_LOST, HelperProcess, Job, loopback
from kilonet.training.workers import Workers, leave, meet

SECONDS_TO_BEGIN = 300  # for a helper to load PyTorch, on a machine that is busy
SECONDS_TO_ANSWER = 300  # for the slowest worker's step or evaluation
SECONDS_TO_END = 10


class Crew:
    """``size`` − 1 helper processes, started at once: they load PyTorch while this one prepares.

    One worker has none, and all of this then does nothing.

    Raises:
        TrainingError: the system has no room for them.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._helpers: list[HelperProcess] = []
        self._ends = ExitStack()
        with self._room():
            for _ in range(1, size):
                helper = HelperProcess()
                self._ends.callback(helper.end)
                self._helpers.append(helper)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def threads_each(self, threads: int) -> int:
        """Return how many of ``threads``, all that this machine has for us, each worker gets."""
        return max(1, threads // self.size)

    def ready(self) -> None:
        """Wait until the helpers have loaded PyTorch, which ``join`` does too.

        Raises:
            WorkerLostError: one has ended.
            TrainingError: one took too long.
        """
        for helper in self._helpers:
            helper.wait_until_ready(SECONDS_TO_BEGIN)

    def join(self, job: Job) -> Workers:
        """Send everyone to work on ``job`` and return this process's place, the leading one.

        Raises:
            WorkerLostError: a helper has ended already.
            TrainingError: they could not come together.
        """
        place = Workers(0, self.size)
        if self.size == 1:
            return place
        with self._room():
            folder = tempfile.TemporaryDirectory(prefix="kilonet-", ignore_cleanup_errors=True)
            self._ends.enter_context(folder)
        for rank, helper in enumerate(self._helpers, 1):
            here = {"folder": folder.name, "rank": rank, "size": self.size}
            helper.begin({**job, **here}, SECONDS_TO_BEGIN)
        self._ends.callback(leave)
        with _inside_this_machine():
            return meet(place, timedelta(seconds=SECONDS_TO_ANSWER), Path(folder.name))

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Say what became of the helpers where a worker was lost inside.

        Raises:
            WorkerLostError: one was.
            TrainingError: a helper gave up, and said why.
        """
        try:
            yield
        except WorkerLostError as error:
            raise self._what_happened() from error

    def close(self) -> None:
        """End the helpers and remove what they left."""
        self._ends.close()

    @contextmanager
    def _room(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.close()
            raise TrainingError(
                f"{self.size - 1} processes to help could not be started: "
                f"{error.strerror or error}. Make room for them, or train with one: "
                "training.workers=1"
            ) from error

    def _what_happened(self) -> TrainingError:
        """Return the error that tells why a worker was lost; its own words come first."""
        until = time.monotonic() + SECONDS_TO_END
        lost = ""
        for number, helper in enumerate(self._helpers, 2):
            status, words = helper.failure(until) or (OTHERS_LOST, "")
            if status == GAVE_UP:
                return TrainingError(words)
            if status != OTHERS_LOST:
                lost = lost or f"Worker {number} of {self.size} {_ended(status, words)}."
        silent = f"A worker of {self.size} did not answer for {SECONDS_TO_ANSWER} seconds."
        return WorkerLostError(lost or silent)


def _ended(status: int, words: str) -> str:
    if status == -signal.SIGKILL:
        return "was killed; if nobody did that, the machine has run out of memory"
    if status < 0:
        return f"was ended by {signal.Signals(-status).name}"
    return f"ended with exit status {status}" + (f": {words.rstrip('.')}" if words else "")


@contextmanager
def _inside_this_machine() -> Iterator[None]:
    """Have connections made inside go over the machine's own interface, unless the user chose."""
    ours = loopback().keys() - os.environ.keys()
    os.environ.update({name: loopback()[name] for name in ours})
    try:
        yield
    finally:
        for name in ours:
            del os.environ[name]
