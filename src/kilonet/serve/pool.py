"""The worker processes, as the service sees them: distribute pictures, replace lost workers."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
import time
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic_core import from_json

from kilonet.inference.model import ModelError
from kilonet.machine import python_module
from kilonet.serve import messages
from kilonet.serve.messages import Refusal, RequestPicture, Result
from kilonet.serve.monitoring import log

WORKER_MODULE = "kilonet.serve.worker"
MAX_GROUPS = 2  # that one worker has at once: the second waits in its pipe
MAX_GROUP, MAX_GROUP_BYTES = 8, 200_000  # pictures sent to a worker in one message
CHECK_SECONDS = 0.5  # between checks for stuck workers, and before a lost one is replaced


_LOST = Refusal("worker-lost", "")
OVER_BUDGET = Refusal(
    "too-large",
    "The pictures of this request before this one have more pixels than a request may have. Send "
    "fewer pictures in one request, or smaller ones.",
)


class PredictionLostError(Exception):
    """The worker process that had a picture ended, or was killed for taking too long."""


@dataclass(eq=False)
class _PendingPicture:
    picture: RequestPicture
    result: asyncio.Future[Result]
    client: str
    request: int
    budget: _Budget


@dataclass
class _Budget:
    """The pixels that a request may still have; those of a picture count when it is prepared."""

    pixels: float


class _FairQueue:
    """The pictures that wait for a worker. Clients take turns, and so do the requests of each."""

    def __init__(self) -> None:
        self._clients: OrderedDict[str, OrderedDict[int, deque[_PendingPicture]]] = OrderedDict()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(self, pending: _PendingPicture) -> None:
        self._queue_of(pending).append(pending)
        self._count += 1

    def put_back(self, group: Sequence[_PendingPicture]) -> None:
        """Put pictures that a worker had not begun where they were: first, in their order."""
        for pending in reversed(group):
            self._queue_of(pending).appendleft(pending)
            self._clients[pending.client].move_to_end(pending.request, last=False)
            self._clients.move_to_end(pending.client, last=False)
        self._count += len(group)

    def pop(self) -> _PendingPicture:
        """Remove and return the picture whose turn it is."""
        client, requests = next(iter(self._clients.items()))
        request, pictures = next(iter(requests.items()))
        del self._clients[client], requests[request]
        pending = pictures.popleft()
        if pictures:
            requests[request] = pictures  # at the end
        if requests:
            self._clients[client] = requests
        self._count -= 1
        return pending

    def _queue_of(self, pending: _PendingPicture) -> deque[_PendingPicture]:
        requests = self._clients.setdefault(pending.client, OrderedDict())
        return requests.setdefault(pending.request, deque())


@dataclass(eq=False)
class _PoolWorker:
    process: asyncio.subprocess.Process
    groups: deque[list[_PendingPicture]] = field(default_factory=deque)
    busy_since: float = 0.0  # when it began its current group
    ready: bool = False

    @property
    def accepts_group(self) -> bool:
        return self.ready and len(self.groups) < MAX_GROUPS

    async def receive(self) -> bytes:
        """Return the content of the next message.

        Raises:
            IncompleteReadError: the process has ended.
        """
        stdout = self.process.stdout
        assert stdout is not None
        (length,) = messages.LENGTH.unpack(await stdout.readexactly(messages.LENGTH.size))
        return await stdout.readexactly(length)

    def send(self, group: list[_PendingPicture]) -> None:
        stdin = self.process.stdin
        assert stdin is not None
        if not self.groups:
            self.busy_since = time.monotonic()
        self.groups.append(group)
        stdin.write(messages.pack_pictures([pending.picture for pending in group]))


class WorkerPool:
    """Some worker processes with one model, and the queue of pictures."""

    def __init__(
        self,
        model: Path,
        count: int,
        max_pixels: int,
        work_seconds: float,
        picture_seconds: float = math.inf,
        request_pixels: float = math.inf,
    ) -> None:
        """Describe the pool; ``start`` starts it."""
        self.model = model
        self.version = ""
        self.count = count
        self.classes: tuple[str, ...] = ()
        self._max_pixels = max_pixels
        self._work_seconds = work_seconds
        self._picture_seconds = picture_seconds
        self._request_pixels = request_pixels
        self._workers: set[_PoolWorker] = set()
        self._queue = _FairQueue()
        self._requests = itertools.count()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def ready(self) -> bool:
        """Whether at least one worker can predict."""
        return any(worker.ready for worker in self._workers)

    async def start(self) -> None:
        """Start the workers and wait until all have loaded the model.

        Raises:
            ModelError: the model cannot be loaded.
        """
        starts = (self._start_worker() for _ in range(self.count))
        workers = await asyncio.gather(*starts, return_exceptions=True)
        for failure in workers:
            if isinstance(failure, BaseException):
                await self.stop()
                raise failure
        self._tasks = {asyncio.create_task(self._supervise(worker)) for worker in self._workers}
        self._tasks.add(asyncio.create_task(self._kill_stuck_workers()))

    async def stop(self) -> None:
        """End the workers; queued pictures are lost."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for worker in list(self._workers):
            await self._kill(worker)

    async def predict(self, pictures: Sequence[RequestPicture], client: str = "") -> list[Result]:
        """Return the result of each picture of one request.

        Clients, which ``client`` names, share the workers equally.
        """
        loop = asyncio.get_running_loop()
        request, budget = next(self._requests), _Budget(self._request_pixels)
        pending = [
            _PendingPicture(picture, loop.create_future(), client, request, budget)
            for picture in pictures
        ]
        for one in pending:
            self._queue.append(one)
        self._dispatch()
        try:
            results = [await one.result for one in pending]
        finally:
            for one in pending:
                one.result.cancel()  # do not begin pictures of a request that was cancelled
        if _LOST in results:
            raise PredictionLostError
        return results

    def _dispatch(self) -> None:
        """Send queued pictures to the workers that are free, the least busy first."""
        while self._queue:
            free = [worker for worker in self._workers if worker.accepts_group]
            if not free:
                return
            group = self._next_group()
            if group:
                min(free, key=lambda worker: len(worker.groups)).send(group)

    def _next_group(self) -> list[_PendingPicture]:
        """Take the pictures for one worker from the queue: at most its share of it."""
        share = min(MAX_GROUP, -(-len(self._queue) // self.count))
        group: list[_PendingPicture] = []
        size = 0
        while self._queue and len(group) < share and size < MAX_GROUP_BYTES:
            pending = self._queue.pop()
            if pending.budget.pixels <= 0 and not pending.result.done():
                pending.result.set_result(OVER_BUDGET)
            if not pending.result.done():
                group.append(pending)
                size += len(pending.picture.content)
        return group

    async def _start_worker(self) -> _PoolWorker:
        limits = str(self._max_pixels), str(self._picture_seconds)
        command, environment = python_module(WORKER_MODULE, str(self.model), *limits)
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=environment,
        )
        worker = _PoolWorker(process)
        self._workers.add(worker)
        try:
            first = from_json(await worker.receive())
        except asyncio.IncompleteReadError:
            first = {"error": "A worker process ended while it started; its own message is above."}
        if "error" in first:
            await self._kill(worker)
            raise ModelError(first["error"])
        if self.version and self.version != first["version"]:
            await self._kill(worker)
            raise ModelError(f"{self.model} has changed. Start the service again to use it.")
        self.classes, self.version = tuple(first["classes"]), first["version"]
        worker.ready = True
        return worker

    async def _supervise(self, worker: _PoolWorker | None) -> None:
        """Receive a worker's results until it is lost, then replace it; for ever."""
        while True:
            if worker is not None:
                await self._receive_results(worker)
                await self._kill(worker)
                log("worker-lost", level="error", status=worker.process.returncode)
            await asyncio.sleep(CHECK_SECONDS)
            try:
                worker = await self._start_worker()
            except (ModelError, OSError) as error:
                worker = None
                log("worker-not-started", level="error", message=str(error))
            self._dispatch()

    async def _receive_results(self, worker: _PoolWorker) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                pixels = from_json(await worker.receive())
                results = messages.unpack_results(await worker.receive())
                worker.busy_since = time.monotonic()
                group = worker.groups.popleft()
                for pending, result, count in zip(group, results, pixels, strict=False):
                    pending.budget.pixels -= count
                    if not pending.result.done():
                        pending.result.set_result(result)
                self._queue.put_back(group[len(results) :])  # the worker had no time for them
                self._dispatch()

    async def _kill(self, worker: _PoolWorker) -> None:
        """Kill a worker if it still runs, and mark the results that it was working on as lost."""
        worker.ready = False
        self._workers.discard(worker)
        with contextlib.suppress(ProcessLookupError):
            worker.process.kill()
        await worker.process.wait()
        for pending in worker.groups.popleft() if worker.groups else ():
            if not pending.result.done():
                pending.result.set_result(_LOST)
        for group in worker.groups:  # not begun
            self._queue.put_back(group)
        worker.groups.clear()

    async def _kill_stuck_workers(self) -> None:
        """Kill each worker that has been busy with one group for too long."""
        while True:
            await asyncio.sleep(min(CHECK_SECONDS, self._work_seconds))
            latest = time.monotonic() - self._work_seconds
            for worker in self._workers:
                if worker.groups and worker.busy_since < latest:
                    worker.process.kill()
