"""The pool: distribution of pictures, and lost, stuck and replaced workers."""

from __future__ import annotations

import asyncio
import io
import math
import os
import shutil
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from kilonet.inference.model import ModelError
from kilonet.serve.messages import Refusal, RequestPicture
from kilonet.serve.pool import OVER_BUDGET, PredictionLostError, WorkerPool
from service import await_


def with_pool(
    model: Path,
    work: Callable[[WorkerPool], Awaitable[Any]],
    count: int = 1,
    seconds: float = 30,
    max_pixels: int = 100_000,
    request_pixels: float = math.inf,
) -> Any:
    async def run() -> Any:
        pool = WorkerPool(model, count, max_pixels, seconds, request_pixels=request_pixels)
        await pool.start()
        try:
            return await work(pool)
        finally:
            await pool.stop()
            assert not pool.ready

    return await_(run())


def process_ids(pool: WorkerPool) -> list[int]:
    return [worker.process.pid for worker in pool._workers]


def test_results_have_the_order_of_the_pictures(model: Path, zero: bytes) -> None:
    pictures = [RequestPicture("file", zero if i % 3 else b"nonsense") for i in range(60)]

    async def work(pool: WorkerPool) -> None:
        assert pool.ready
        assert pool.classes == tuple("0123456789")
        results = await pool.predict(pictures)
        assert [isinstance(result, Refusal) for result in results] == [
            i % 3 == 0 for i in range(60)
        ]
        assert await pool.predict([]) == []

    with_pool(model, work, count=2)


def test_a_lost_worker_is_reported_and_replaced(model: Path, zero: bytes) -> None:
    async def work(pool: WorkerPool) -> None:
        (before,) = process_ids(pool)
        os.kill(before, signal.SIGSTOP)
        prediction = asyncio.create_task(pool.predict([RequestPicture("file", zero)] * 3))
        await asyncio.sleep(0)
        os.kill(before, signal.SIGKILL)
        with pytest.raises(PredictionLostError):
            await prediction
        assert not pool.ready
        (result,) = await asyncio.wait_for(pool.predict([RequestPicture("file", zero)]), 60)
        assert not isinstance(result, Refusal)
        assert process_ids(pool) != [before]

    with_pool(model, work)


def test_a_stuck_worker_is_killed(model: Path, zero: bytes) -> None:
    async def work(pool: WorkerPool) -> None:
        (before,) = process_ids(pool)
        os.kill(before, signal.SIGSTOP)
        with pytest.raises(PredictionLostError):
            await asyncio.wait_for(pool.predict([RequestPicture("file", zero)]), 60)
        assert len(await asyncio.wait_for(pool.predict([RequestPicture("file", zero)]), 60)) == 1

    with_pool(model, work, seconds=0.5)


def blank(width: int, height: int) -> RequestPicture:
    with io.BytesIO() as file:
        Image.new("L", (width, height), 255).save(file, "PNG")
        return RequestPicture("file", file.getvalue())


@pytest.mark.parametrize("shape", [(1, 30_000), (30_000, 1), (300, 300)])
def test_the_pixels_of_a_request_are_limited(
    model: Path, zero: bytes, shape: tuple[int, int]
) -> None:
    """Only pictures that a worker has already when the limit is reached are prepared as well."""
    pictures = [blank(*shape)] * 64 + [RequestPicture("file", zero)]

    async def work(pool: WorkerPool) -> None:
        first, *_, last = await pool.predict(pictures)
        assert isinstance(first, Refusal)
        assert first != OVER_BUDGET
        assert last == OVER_BUDGET
        (other,) = await pool.predict([RequestPicture("file", zero)])  # a request of its own
        assert not isinstance(other, Refusal)

    with_pool(model, work, request_pixels=2 * shape[0] * shape[1])


def test_a_worker_does_not_change_to_another_model(
    model: Path, zero: bytes, tmp_path: Path
) -> None:
    served = shutil.copyfile(model, tmp_path / "served.onnx")

    async def work(pool: WorkerPool) -> None:
        with served.open("ab") as file:
            file.write(b"\x32\x01x")  # the field domain of another ONNX file
        os.kill(process_ids(pool)[0], signal.SIGKILL)
        await asyncio.sleep(0.2)
        with pytest.raises(ModelError, match="has changed"):
            await pool._start_worker()

    with_pool(served, work)


def test_cancelled_pictures_are_not_begun(model: Path, zero: bytes) -> None:
    async def work(pool: WorkerPool) -> None:
        many = asyncio.create_task(pool.predict([RequestPicture("file", zero)] * 500))
        await asyncio.sleep(0)
        many.cancel()
        await asyncio.gather(many, return_exceptions=True)
        assert len(await pool.predict([RequestPicture("file", zero)])) == 1
        assert not pool._queue

    with_pool(model, work)


def test_clients_take_turns_and_so_do_their_requests(model: Path) -> None:
    pool = WorkerPool(model, 1, 100_000, 30)

    async def work() -> list[str]:
        asked = [("a", 4), ("a", 2), ("b", 2), ("c", 1)]
        tasks = [
            asyncio.create_task(
                pool.predict([RequestPicture("file", b"%d%d" % (i, k)) for k in range(n)], client)
            )
            for i, (client, n) in enumerate(asked)
        ]
        await asyncio.sleep(0)
        first = [pool._queue.pop() for _ in range(5)]
        pool._queue.put_back(first[1:])  # a worker did the first only
        order = first[:1] + [pool._queue.pop() for _ in range(len(pool._queue))]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return [pending.picture.content.decode() for pending in order]

    # a's requests are 0 and 1; then b's and c's
    assert await_(work()) == ["00", "20", "30", "10", "21", "01", "11", "02", "03"]


def test_a_picture_waits_for_few_slow_ones_of_others(model: Path, zero: bytes) -> None:
    slow = large_picture()

    async def work(pool: WorkerPool) -> None:
        for client in ("192.0.2.1", "192.0.2.2"):  # the first is also the stranger's address
            stranger = asyncio.create_task(
                pool.predict([RequestPicture("file", slow)] * 64, "192.0.2.1")
            )
            await asyncio.sleep(0.2)
            await asyncio.wait_for(pool.predict([RequestPicture("file", zero)], client), 60)
            waiting = len(pool._queue)
            stranger.cancel()
            await asyncio.gather(stranger, return_exceptions=True)
            assert waiting > 32

    with_pool(model, work, max_pixels=16_000_000)


def large_picture() -> bytes:
    """Return a picture of 16 million pixels in a small file, with a stroke."""
    grey = np.full((4000, 4000), 255, np.uint8)
    grey[1000:3000, 1900:2100] = 0
    stream = io.BytesIO()
    Image.fromarray(grey).save(stream, "PNG", compress_level=1)
    return stream.getvalue()


def test_pictures_that_a_lost_worker_had_not_begun_are_not_lost(model: Path, zero: bytes) -> None:
    async def work(pool: WorkerPool) -> None:
        (worker,) = process_ids(pool)
        os.kill(worker, signal.SIGSTOP)
        predictions = [
            asyncio.create_task(pool.predict([RequestPicture("file", zero)])) for _ in range(3)
        ]
        await asyncio.sleep(0)
        os.kill(worker, signal.SIGKILL)
        found = await asyncio.gather(*predictions, return_exceptions=True)
        assert [isinstance(result, PredictionLostError) for result in found] == [True, False, False]

    with_pool(model, work)


@pytest.mark.parametrize("name", ["traceback.py", "numpy/__init__.py", "kilonet/__init__.py"])
def test_workers_run_nothing_from_the_current_directory(
    model: Path, zero: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(f"open({str(tmp_path / 'ran')!r}, 'w'); raise SystemExit(3)")
    monkeypatch.chdir(tmp_path)

    async def work(pool: WorkerPool) -> None:
        assert len(await pool.predict([RequestPicture("file", zero)])) == 1

    with_pool(model, work)
    assert not (tmp_path / "ran").exists()


def test_a_model_that_cannot_be_loaded(tmp_path: Path) -> None:
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"no model")

    async def never(_: WorkerPool) -> None:
        raise AssertionError

    with pytest.raises(ModelError, match="is not an ONNX file that can be run"):
        with_pool(bad, never, count=2)
