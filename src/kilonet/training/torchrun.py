"""Processes that ``torchrun`` has started, on one machine or several, in place of our own crew."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from typing import Any

from kilonet.training.crew import SECONDS_TO_ANSWER
from kilonet.training.process import Job
from kilonet.training.workers import Workers, leave, meet

SECONDS_TO_LEAD = 3600  # for the leading one to prepare, to download the data set say


def launched() -> Workers | None:
    """Return this process's place among those that ``torchrun`` started; None if it did not.

    The variables are PyTorch's: other launchers, such as MPI's and Kubernetes', set them too.
    """
    try:
        place = Workers(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]))
    except (KeyError, ValueError):
        return None
    return place if place.size > 1 else None


def local_rank() -> int:
    """Return this process's number among those on the same machine."""
    return int(os.environ.get("LOCAL_RANK", "0"))


class Launched:
    """What ``Crew`` is for our own helpers, for the processes that ``torchrun`` started."""

    def __init__(self, place: Workers) -> None:
        self._place = place
        self.size = place.size

    def __enter__(self) -> Launched:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def threads_each(self, threads: int) -> int:
        """Return how many threads each worker gets: torchrun has seen to it already."""
        return threads

    def ready(self) -> None:
        """Wait for nobody: each of them says by joining that it is ready."""

    def join(self, job: Job | None) -> Workers:
        """Meet the others; the one that leads tells them the ``job``."""
        return self.joined(job)[0]

    def joined(self, job: Job | None) -> tuple[Workers, Job]:
        """Meet the others; return the place and the job that the leading one brought.

        Raises:
            TrainingError: they could not come together.
            WorkerLostError: the leading one has gone.
        """
        seconds = SECONDS_TO_ANSWER if self._place.leads else SECONDS_TO_LEAD
        workers = meet(self._place, timedelta(seconds=seconds))
        return workers, workers.told(job)

    def watched(self) -> AbstractContextManager[None]:
        """Add nothing to the loss of a worker: it has said why itself, or torchrun does."""
        return nullcontext()

    def close(self) -> None:
        """Leave the others."""
        leave()
