"""Processes that ``torchrun`` has started, on one machine or several, in place of our own crew."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch.distributed as dist

from kilonet.errors import TrainingError
from kilonet.training.crew import Job, meet
from kilonet.training.workers import WorkerLostError, Workers


def launched() -> Workers | None:
    """Return this process's place among those that ``torchrun`` started; None if it did not."""
    try:
        return Workers(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]))
    except (KeyError, ValueError):
        return None


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

    def join(self, backend: str, job: Job | None) -> Workers:
        """Meet the others; the one that leads tells them the ``job``."""
        return self.joined(backend, job)[0]

    def joined(self, backend: str, job: Job | None) -> tuple[Workers, Job]:
        """Meet the others; return the place and the job that the leading one brought.

        Raises:
            WorkerLostError: not all came.
        """
        workers = meet(backend, "env://", self._place.rank, self._place.size)
        return workers, workers.told(job)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Turn the loss of a worker into an error that ends this one.

        Raises:
            TrainingError: a worker was lost.
        """
        try:
            yield
        except WorkerLostError as error:
            raise TrainingError(
                f"One of {self.size} workers was lost; what it said stands above."
            ) from error

    def close(self) -> None:
        """Leave the others."""
        if dist.is_initialized():
            dist.destroy_process_group()
