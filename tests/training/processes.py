"""Processes that train together, for tests: forked from one that has PyTorch loaded already."""

from __future__ import annotations

import multiprocessing
import os
import socket
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from multiprocessing.util import get_temp_dir
from pathlib import Path
from typing import Any, TypeVar

import torch

from kilonet.training.distributed import (
    ProcessGroup,
    destroy_process_group,
    init_process_group,
)

T = TypeVar("T")
FORKED = multiprocessing.get_context("forkserver")
# What each process would load otherwise; "torch._dynamo" is what an optimizer loads.
PRELOADED = ["kilonet.training.fit", "sklearn.datasets", "torch._dynamo", "pytest", "hypothesis"]
FORKED.set_forkserver_preload(PRELOADED)
# Created now: a test that points "tempfile" at its own folder would make the sockets' paths longer
# than the system allows.
get_temp_dir()


def together(work: Callable[..., T], *arguments: Any, size: int = 2) -> list[T]:
    """Return the results of ``work(group, *arguments)`` in ``size`` connected processes."""
    with (
        tempfile.TemporaryDirectory() as folder,
        ProcessPoolExecutor(size, FORKED) as processes,
    ):
        groups = [ProcessGroup(rank, size) for rank in range(size)]
        running = [processes.submit(_connected, folder, each, work, arguments) for each in groups]
        return [worker.result(timeout=60) for worker in running]


def _connected(
    folder: str, group: ProcessGroup, work: Callable[..., T], arguments: tuple[Any, ...]
) -> T:
    stay_on_this_machine()
    torch.set_num_threads(1)
    init_process_group(group, (Path(folder) / "group").as_uri())
    try:
        return work(group, *arguments)
    finally:
        destroy_process_group(group)


def stay_on_this_machine() -> None:
    """Let gloo connect over the loopback interface; its default is what the host's name means."""
    with suppress(OSError, AttributeError):
        names = {name for _, name in socket.if_nameindex()}
        for name in ("lo", "lo0"):
            if name in names:
                os.environ["GLOO_SOCKET_IFNAME"] = name
                return
