"""The workers from the service's side: who gets which pictures, and what if one is lost."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic_core import from_json

from kilonet.inference.model import ModelError
from kilonet.serve import wire
from kilonet.serve.logs import log

DEPTH = 2  # groups that a worker has at once: the next one waits in its pipe
GROUP, GROUP_BYTES = 8, 200_000  # pictures that go to a worker together, at most
PAUSE = 0.5  # seconds between looking for stuck workers, and before a lost one is replaced


_LOST = wire.Refusal("worker-lost", "")


class WorkerLostError(Exception):
    """The worker that had a picture ended, or was ended for taking too long."""


@dataclass(eq=False)
class _Pending:
    picture: wire.Picture
    answer: asyncio.Future[wire.Outcome]


@dataclass(eq=False)
class _Worker:
    process: asyncio.subprocess.Process
    groups: deque[list[_Pending]] = field(default_factory=deque)
    since: float = 0.0  # when the group that it is busy with began
    ready: bool = False

    @property
    def free(self) -> bool:
        return self.ready and len(self.groups) < DEPTH

    async def frame(self) -> bytes:
        """Return the content of the next frame.

        Raises:
            IncompleteReadError: the process has ended.
        """
        stream = self.process.stdout
        assert stream is not None
        (length,) = wire.LENGTH.unpack(await stream.readexactly(wire.LENGTH.size))
        return await stream.readexactly(length)

    def give(self, group: list[_Pending]) -> None:
        stream = self.process.stdin
        assert stream is not None
        if not self.groups:
            self.since = time.monotonic()
        self.groups.append(group)
        stream.write(wire.pack_pictures([pending.picture for pending in group]))


class Pool:
    """Some workers with one model, and the pictures that wait for them."""

    def __init__(self, model: Path, count: int, most_pixels: int, work_seconds: float) -> None:
        """Describe the pool; ``start`` starts it."""
        self.model = model
        self.count = count
        self.classes: tuple[str, ...] = ()
        self._most_pixels = most_pixels
        self._work_seconds = work_seconds
        self._workers: set[_Worker] = set()
        self._waiting: deque[_Pending] = deque()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def ready(self) -> bool:
        """Whether a worker is there to read."""
        return any(worker.ready for worker in self._workers)

    async def start(self) -> None:
        """Start the workers and wait until all have loaded the model.

        Raises:
            ModelError: the model cannot be loaded.
        """
        starts = (self._started() for _ in range(self.count))
        workers = await asyncio.gather(*starts, return_exceptions=True)
        for failure in workers:
            if isinstance(failure, BaseException):
                await self.stop()
                raise failure
        self._tasks = {asyncio.create_task(self._kept(worker)) for worker in self._workers}
        self._tasks.add(asyncio.create_task(self._watch()))

    async def stop(self) -> None:
        """End the workers; pictures that wait are lost."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for worker in list(self._workers):
            await self._end(worker)

    async def read(self, pictures: Sequence[wire.Picture]) -> list[wire.Outcome]:
        """Return what each picture shows.

        Raises:
            WorkerLostError: a worker ended over one.
        """
        loop = asyncio.get_running_loop()
        pending = [_Pending(picture, loop.create_future()) for picture in pictures]
        self._waiting.extend(pending)
        self._dispatch()
        try:
            outcomes = [await one.answer for one in pending]
        finally:
            for one in pending:
                one.answer.cancel()  # what nobody waits for any more is not begun
        if _LOST in outcomes:
            raise WorkerLostError
        return outcomes

    def _dispatch(self) -> None:
        while self._waiting:
            free = [worker for worker in self._workers if worker.free]
            if not free:
                return
            group = self._next_group()
            if group:
                min(free, key=lambda worker: len(worker.groups)).give(group)

    def _next_group(self) -> list[_Pending]:
        """Take what one worker gets: no more than its share of what waits."""
        share = min(GROUP, -(-len(self._waiting) // self.count))
        group: list[_Pending] = []
        size = 0
        while self._waiting and len(group) < share and size < GROUP_BYTES:
            pending = self._waiting.popleft()
            if not pending.answer.done():
                group.append(pending)
                size += len(pending.picture.content)
        return group

    async def _started(self) -> _Worker:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "kilonet.serve.worker", str(self.model), str(self._most_pixels),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        worker = _Worker(process)
        self._workers.add(worker)
        try:
            hello = from_json(await worker.frame())
        except asyncio.IncompleteReadError:
            hello = {"error": "A worker process ended while it started; its own message is above."}
        if "error" in hello:
            await self._end(worker)
            raise ModelError(hello["error"])
        self.classes = tuple(hello["classes"])
        worker.ready = True
        return worker

    async def _kept(self, worker: _Worker | None) -> None:
        """Take a worker's answers until it is lost, then do the same with a new one, for ever."""
        while True:
            if worker is not None:
                await self._answers(worker)
                await self._end(worker)
                log("worker-lost", level="error", status=worker.process.returncode)
            await asyncio.sleep(PAUSE)
            try:
                worker = await self._started()
            except (ModelError, OSError) as error:
                worker = None
                log("worker-not-started", level="error", message=str(error))
            self._dispatch()

    async def _answers(self, worker: _Worker) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                outcomes = wire.unpack_outcomes(await worker.frame())
                worker.since = time.monotonic()
                for pending, outcome in zip(worker.groups.popleft(), outcomes, strict=True):
                    if not pending.answer.done():
                        pending.answer.set_result(outcome)
                self._dispatch()

    async def _end(self, worker: _Worker) -> None:
        """End a worker, if it has not ended yet, and tell those who wait for it."""
        worker.ready = False
        self._workers.discard(worker)
        with contextlib.suppress(ProcessLookupError):
            worker.process.kill()
        await worker.process.wait()
        for pending in (pending for group in worker.groups for pending in group):
            if not pending.answer.done():
                pending.answer.set_result(_LOST)

    async def _watch(self) -> None:
        """End each worker that has been busy with one group for too long."""
        while True:
            await asyncio.sleep(min(PAUSE, self._work_seconds))
            late = time.monotonic() - self._work_seconds
            for worker in self._workers:
                if worker.groups and worker.since < late:
                    worker.process.kill()
