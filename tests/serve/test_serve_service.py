"""Predictions: who is admitted, and what is said when workers cannot answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request

from kilonet.serve.pool import WorkerLostError
from kilonet.serve.problems import Problem
from kilonet.serve.service import Service
from kilonet.serve.settings import Settings
from kilonet.serve.wire import Outcome, Picture
from service import await_

KEY = "correct-horse-battery"


class Workers:
    """Answers as it is told to, and counts what it is asked."""

    model, classes, ready = Path("m.onnx"), ("0", "1"), True

    def __init__(self, seconds: float = 0, lost: bool = False) -> None:
        self.seconds, self.lost, self.asked = seconds, lost, 0

    async def read(self, pictures: Sequence[Picture]) -> list[Outcome]:
        self.asked += 1
        await asyncio.sleep(self.seconds)
        if self.lost:
            raise WorkerLostError
        return [(0.25, 0.75)] * len(pictures)


def service(workers: Workers, key: str | None = None, **settings: Any) -> Service:
    return Service(Settings(**settings), workers, key)  # type: ignore[arg-type]


def request(**headers: str) -> Request:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"picture", "more_body": False}

    named = {"content-type": "image/png", **headers}
    raw = [(name.encode(), value.encode()) for name, value in named.items()]
    return Request({"type": "http", "headers": raw, "state": {}}, receive)


def test_a_reading() -> None:
    found = await_(service(Workers()).predict(request(), 0.8))
    assert (found["digit"], found["confidence"], found["unsure"]) == ("1", 0.75, True)


def refused(one: Service) -> Problem:
    with pytest.raises(Problem) as caught:
        await_(one.predict(request(), 0))
    return caught.value


def test_workers_that_are_late_or_lost() -> None:
    late = refused(service(Workers(seconds=5), work_seconds=0.01))
    assert (late.status, late.reason, late.headers["retry-after"]) == (503, "overload", "1")
    lost = refused(service(Workers(lost=True)))
    assert (lost.status, lost.reason, lost.headers["retry-after"]) == (503, "worker-lost", "1")


def test_no_more_at_once_than_allowed() -> None:
    workers = Workers(seconds=0.05)
    one = service(workers, max_at_once=3)

    async def run() -> list[Any]:
        calls = (one.predict(request(), 0) for _ in range(10))
        return await asyncio.gather(*calls, return_exceptions=True)

    found = await_(run())
    assert [isinstance(answer, dict) for answer in found] == [True] * 3 + [False] * 7
    assert {answer.status for answer in found[3:]} == {503}
    assert workers.asked == 3
    await_(one.predict(request(), 0))  # there is room again


def test_a_key() -> None:
    one = service(Workers(), key=KEY)
    one.check_key(request(authorization=f"Bearer {KEY}"))
    for headers in ({}, {"authorization": "Bearer wrong"}):
        with pytest.raises(Problem) as caught:
            one.check_key(request(**headers))
        assert caught.value.status == 401
        assert caught.value.headers == {"www-authenticate": "Bearer"}
    service(Workers()).check_key(request())


def test_not_ready() -> None:
    workers = Workers()
    service(workers).check_ready()
    workers.ready = False
    with pytest.raises(Problem) as caught:
        service(workers).check_ready()
    assert (caught.value.status, caught.value.reason) == (503, "not-ready")
