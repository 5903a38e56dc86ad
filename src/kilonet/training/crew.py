"""The processes that help this one train: started, told what to do, watched, and ended.

Each runs ``python -m kilonet.training.helper``, told its job by a line of JSON on its standard
input. It ends when that closes, so it never outlives this process, however this one ends; and it
stands in a process group of its own, so that Ctrl-C reaches only the one that the user sees.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import torch.distributed as dist

from kilonet.errors import TrainingError
from kilonet.training.workers import WorkerLostError, Workers

READY = "kilonet: ready"
SECONDS_TO_ANSWER = 300  # for the slowest worker's step or evaluation
SECONDS_TO_END = 10

Job = dict[str, Any]


class Crew:
    """``size`` − 1 helper processes, started at once: they load PyTorch while this one prepares.

    One worker has none, and all of this then does nothing.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._folder = tempfile.TemporaryDirectory(prefix="kilonet-")
        self._says = [(self._path / f"worker-{rank}").open("w+") for rank in range(1, size)]
        self._helpers = [_start(said) for said in self._says]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def join(self, backend: str, job: Job) -> Workers:
        """Send everyone to work on ``job`` and return this process's place, the leading one.

        ``backend`` is PyTorch's name of how they talk: "gloo" for CPUs, "nccl" for GPUs.

        Raises:
            WorkerLostError: a helper has ended already.
        """
        if self.size == 1:
            return Workers()
        meeting = {"meeting": str(self._path / "meeting"), "backend": backend, "size": self.size}
        for rank, helper in enumerate(self._helpers, 1):
            _wait_until_ready(helper)
            _tell(helper, {**meeting, **job, "rank": rank})
        return meet(backend, f"file://{meeting['meeting']}", 0, self.size)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Say what became of the helpers where a worker was lost inside.

        Raises:
            TrainingError: one was; the message has what it said last.
        """
        try:
            yield
        except WorkerLostError as error:
            raise TrainingError(self._what_happened()) from error

    def close(self) -> None:
        """End the helpers and remove what they left."""
        if dist.is_initialized():
            dist.destroy_process_group()
        for helper in self._helpers:
            _end(helper)
        for said in self._says:
            said.close()
        self._folder.cleanup()

    @property
    def _path(self) -> Path:
        return Path(self._folder.name)

    def _what_happened(self) -> str:
        for rank, (helper, said) in enumerate(zip(self._helpers, self._says, strict=True), 2):
            try:
                code = helper.wait(SECONDS_TO_END)
            except subprocess.TimeoutExpired:
                continue
            said.seek(0)
            lines = said.read().strip().splitlines()
            if code > 0 and lines:
                return lines[-1]
            how = f"was killed by signal {-code}" if code < 0 else f"ended with exit status {code}"
            return f"Worker {rank} of {self.size} {how}."
        return f"A worker of {self.size} did not answer for {SECONDS_TO_ANSWER} seconds."


def meet(backend: str, where: str, rank: int, size: int) -> Workers:
    """Wait for all ``size`` workers at ``where`` (PyTorch's ``init_method``); return the place.

    Raises:
        WorkerLostError: not all came.
    """
    try:
        dist.init_process_group(
            backend,
            init_method=where,
            rank=rank,
            world_size=size,
            timeout=timedelta(seconds=SECONDS_TO_ANSWER),
        )
    except (RuntimeError, ValueError) as error:
        raise WorkerLostError(
            f"{size} workers could not come together: {str(error).splitlines()[0].rstrip('.')}."
        ) from error
    return Workers(rank, size)


def _start(said: IO[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "kilonet.training.helper"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=said,
        text=True,
        start_new_session=True,
    )


def _wait_until_ready(helper: subprocess.Popen[str]) -> None:
    assert helper.stdout is not None
    for line in helper.stdout:
        if line.strip() == READY:
            return
    raise WorkerLostError("A worker could not start.")


def _tell(helper: subprocess.Popen[str], job: Job) -> None:
    assert helper.stdin is not None
    try:
        helper.stdin.write(json.dumps(job) + "\n")
        helper.stdin.flush()
    except OSError as error:
        raise WorkerLostError("A worker ended before it was told what to do.") from error


def _end(helper: subprocess.Popen[str]) -> None:
    for pipe in (helper.stdin, helper.stdout):
        assert pipe is not None
        pipe.close()
    try:
        helper.wait(SECONDS_TO_END)
    except subprocess.TimeoutExpired:
        helper.kill()
        helper.wait()
