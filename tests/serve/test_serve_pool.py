"""The pool: distribution of pictures, and lost, stuck and replaced workers."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from kilonet.inference.model import ModelError
from kilonet.serve.messages import Refusal, RequestPicture
from kilonet.serve.pool import PredictionLostError, WorkerPool
from service import await_


def with_pool(
    model: Path, work: Callable[[WorkerPool], Awaitable[Any]], count: int = 1, seconds: float = 30
) -> Any:
    async def run() -> Any:
        pool = WorkerPool(model, count, 100_000, seconds)
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


def test_cancelled_pictures_are_not_begun(model: Path, zero: bytes) -> None:
    async def work(pool: WorkerPool) -> None:
        many = asyncio.create_task(pool.predict([RequestPicture("file", zero)] * 500))
        await asyncio.sleep(0)
        many.cancel()
        await asyncio.gather(many, return_exceptions=True)
        assert len(await pool.predict([RequestPicture("file", zero)])) == 1
        assert not pool._queue

    with_pool(model, work)


def test_a_model_that_cannot_be_loaded(tmp_path: Path) -> None:
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"no model")

    async def never(_: WorkerPool) -> None:
        raise AssertionError

    with pytest.raises(ModelError, match="is not an ONNX file that can be run"):
        with_pool(bad, never, count=2)
