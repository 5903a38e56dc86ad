"""Workers for tests: forked from a process that has PyTorch loaded, so that they cost no time."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from multiprocessing.util import get_temp_dir
from pathlib import Path
from typing import Any, TypeVar

import torch

from kilonet.training.process import loopback
from kilonet.training.workers import Workers, leave, meet

T = TypeVar("T")
FORKED = multiprocessing.get_context("forkserver")
# What the workers of a test would load one by one; "torch._dynamo" is what an optimizer loads.
PRELOADED = ["kilonet.training.helper", "sklearn.datasets", "torch._dynamo", "pytest", "hypothesis"]
FORKED.set_forkserver_preload(PRELOADED)
# Settled now: a test that points "tempfile" at its own folder would make the sockets' paths longer
# than the system allows.
get_temp_dir()


def together(work: Callable[..., T], *arguments: Any, size: int = 2) -> list[T]:
    """Return what ``work(workers, *arguments)`` gives each of ``size`` processes that have met."""
    with (
        tempfile.TemporaryDirectory() as folder,
        ProcessPoolExecutor(size, FORKED) as processes,
    ):
        places = [Workers(rank, size) for rank in range(size)]
        running = [processes.submit(_met, folder, place, work, arguments) for place in places]
        return [worker.result(timeout=60) for worker in running]


def _met(folder: str, place: Workers, work: Callable[..., T], arguments: tuple[Any, ...]) -> T:
    os.environ.update(loopback())
    torch.set_num_threads(1)
    workers = meet(place, timedelta(seconds=30), Path(folder))
    try:
        return work(workers, *arguments)
    finally:
        leave()
