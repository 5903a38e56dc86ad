"""Workers from the service's side: sharing, loss and replacement."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from kilonet.inference.model import ModelError
from kilonet.serve.pool import Pool, WorkerLostError
from kilonet.serve.wire import Picture, Refusal
from service import await_


def with_pool(
    model: Path, work: Callable[[Pool], Awaitable[Any]], count: int = 1, seconds: float = 30
) -> Any:
    async def run() -> Any:
        pool = Pool(model, count, 100_000, seconds)
        await pool.start()
        try:
            return await work(pool)
        finally:
            await pool.stop()
            assert not pool.ready

    return await_(run())


def process_ids(pool: Pool) -> list[int]:
    return [worker.process.pid for worker in pool._workers]


def test_pictures_come_back_in_their_order(model: Path, zero: bytes) -> None:
    pictures = [Picture("file", zero if i % 3 else b"nonsense") for i in range(60)]

    async def work(pool: Pool) -> None:
        assert pool.ready
        assert pool.classes == tuple("0123456789")
        outcomes = await pool.read(pictures)
        assert [isinstance(outcome, Refusal) for outcome in outcomes] == [
            i % 3 == 0 for i in range(60)
        ]
        assert await pool.read([]) == []

    with_pool(model, work, count=2)


def test_a_lost_worker_is_said_and_replaced(model: Path, zero: bytes) -> None:
    async def work(pool: Pool) -> None:
        (before,) = process_ids(pool)
        os.kill(before, signal.SIGSTOP)
        reading = asyncio.create_task(pool.read([Picture("file", zero)] * 3))
        await asyncio.sleep(0)
        os.kill(before, signal.SIGKILL)
        with pytest.raises(WorkerLostError):
            await reading
        assert not pool.ready
        (outcome,) = await asyncio.wait_for(pool.read([Picture("file", zero)]), 60)
        assert not isinstance(outcome, Refusal)
        assert process_ids(pool) != [before]

    with_pool(model, work)


def test_a_stuck_worker_is_ended(model: Path, zero: bytes) -> None:
    async def work(pool: Pool) -> None:
        (before,) = process_ids(pool)
        os.kill(before, signal.SIGSTOP)
        with pytest.raises(WorkerLostError):
            await asyncio.wait_for(pool.read([Picture("file", zero)]), 60)
        assert len(await asyncio.wait_for(pool.read([Picture("file", zero)]), 60)) == 1

    with_pool(model, work, seconds=0.5)


def test_what_nobody_waits_for_is_not_begun(model: Path, zero: bytes) -> None:
    async def work(pool: Pool) -> None:
        many = asyncio.create_task(pool.read([Picture("file", zero)] * 500))
        await asyncio.sleep(0)
        many.cancel()
        await asyncio.gather(many, return_exceptions=True)
        assert len(await pool.read([Picture("file", zero)])) == 1
        assert not pool._waiting

    with_pool(model, work)


def test_a_model_that_cannot_be_loaded(tmp_path: Path) -> None:
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"no model")

    async def never(_: Pool) -> None:
        raise AssertionError

    with pytest.raises(ModelError, match="is not an ONNX file that can be run"):
        with_pool(bad, never, count=2)
