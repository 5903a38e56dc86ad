"""Predictions: limits on open requests, the key, lost workers, and the JSON of the results."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request

from kilonet.inference.model import Classification
from kilonet.serve.messages import Refusal, RequestPicture, Result
from kilonet.serve.pool import PredictionLostError
from kilonet.serve.problems import Problem
from kilonet.serve.service import ERROR_SCHEMA, PREDICTION_SCHEMA, Service, entry_of, problem_of
from kilonet.serve.settings import Settings
from service import await_

KEY = "correct-horse-battery"


class Workers:
    """A pool that answers after some seconds or is lost, and counts its calls."""

    model, version, classes, ready = Path("m.onnx"), "0123456789ab", ("0", "1"), True

    def __init__(
        self, seconds: float = 0, lost: bool = False, digit_score: float | None = None
    ) -> None:
        self.seconds, self.lost, self.calls = seconds, lost, 0
        self.found = Classification((0.25, 0.75), digit_score)

    async def predict(self, pictures: Sequence[RequestPicture], client: str = "") -> list[Result]:
        self.calls += 1
        await asyncio.sleep(self.seconds)
        if self.lost:
            raise PredictionLostError
        return [self.found] * len(pictures)


def service(workers: Workers, key: str | None = None, **settings: Any) -> Service:
    return Service(Settings(**settings), workers, key)  # type: ignore[arg-type]


def request(client: str = "192.0.2.1", **headers: str) -> Request:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"picture", "more_body": False}

    named = {"content-type": "image/png", **headers}
    raw = [(name.encode(), value.encode()) for name, value in named.items()]
    return Request({"type": "http", "headers": raw, "state": {}, "client": (client, 1)}, receive)


def test_a_prediction() -> None:
    found = await_(service(Workers()).predict(request(), 0.8))
    assert (found["digit"], found["confidence"], found["unsure"]) == ("1", 0.75, True)
    assert found["model"] == {"name": "m", "version": "0123456789ab"}


@pytest.mark.parametrize(
    ("path", "name"), [("a/b.onnx", "b"), ("runs/quick-1/model.onnx", "quick-1")]
)
def test_the_name_of_a_model_is_that_of_its_run_or_file(path: str, name: str) -> None:
    workers = Workers()
    workers.model = Path(path)
    assert service(workers).model["name"] == name


def test_what_does_not_look_like_a_digit_is_refused_unless_forced() -> None:
    one = service(Workers(digit_score=0.1))
    problem = refused(one)
    assert (problem.status, problem.reason) == (422, "not-a-digit")
    assert "force=true" in str(problem)
    forced = await_(one.predict(request(), 0, force=True))
    assert (forced["digit"], forced["digit_score"], forced["unsure"]) == ("1", 0.1, True)


def refused(one: Service) -> Problem:
    with pytest.raises(Problem) as caught:
        await_(one.predict(request(), 0))
    return caught.value


def test_slow_and_lost_workers() -> None:
    late = refused(service(Workers(seconds=5), work_seconds=0.01))
    assert (late.status, late.reason, late.headers["retry-after"]) == (503, "overload", "1")
    lost = refused(service(Workers(lost=True)))
    assert (lost.status, lost.reason, lost.headers["retry-after"]) == (503, "worker-lost", "1")


def test_open_requests_are_limited() -> None:
    workers = Workers(seconds=0.05)
    one = service(workers, max_at_once=3)

    async def run() -> list[Any]:
        calls = (one.predict(request(), 0) for _ in range(10))
        return await asyncio.gather(*calls, return_exceptions=True)

    found = await_(run())
    assert [isinstance(answer, dict) for answer in found] == [True] * 3 + [False] * 7
    assert {answer.status for answer in found[3:]} == {503}
    assert workers.calls == 3
    await_(one.predict(request(), 0))  # the limit is free again


def test_one_client_cannot_take_all_open_requests() -> None:
    one = service(Workers(seconds=0.05), max_at_once=5, max_per_client=2)

    async def run() -> list[Any]:
        clients = ["192.0.2.1"] * 6 + ["192.0.2.2", "2001:db8::1"]
        calls = (one.predict(request(client), 0) for client in clients)
        return await asyncio.gather(*calls, return_exceptions=True)

    for _ in range(2):
        found = await_(run())
        answered = [isinstance(answer, dict) for answer in found]
        assert answered == [True] * 2 + [False] * 4 + [True] * 2
        assert {(answer.status, answer.reason) for answer in found[2:6]} == {(503, "overload")}


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


CLASSES = ("a", "b", "c")


def test_the_json_of_a_prediction_has_all_probabilities() -> None:
    found = entry_of(Classification((0.2, 0.7123456789, 0.1), 0.9, ("So.",)), CLASSES, 0.5)
    assert found == {
        "digit": "b",
        "confidence": 0.712346,
        "runner_up": "a",
        "runner_up_confidence": 0.2,
        "unsure": False,
        "digit_score": 0.9,
        "notes": ["So."],
        "probabilities": {"a": 0.2, "b": 0.712346, "c": 0.1},
    }
    assert set(found) == set(PREDICTION_SCHEMA["properties"])
    assert entry_of(Classification((0.2, 0.7, 0.1)), CLASSES, 0.71)["unsure"]


def test_the_json_of_a_refused_picture_in_a_batch() -> None:
    found = entry_of(Refusal("blank", "It is blank."), CLASSES, 0)
    assert found == {"error": "blank", "message": "It is blank."}
    assert set(found) == set(ERROR_SCHEMA["properties"])


@pytest.mark.parametrize(("kind", "status"), [("blank", 422), ("too-large", 413)])
def test_a_refused_picture_alone_is_a_problem(kind: str, status: int) -> None:
    found = problem_of(Refusal(kind, "No."))
    assert (found.status, found.reason, str(found)) == (status, kind, "No.")


def test_messages_do_not_name_command_line_options() -> None:
    message = "The picture shows 2 digits, and one was expected; --split reads them left to right."
    assert str(problem_of(Refusal("several", message))) == (
        "The picture shows 2 digits, and one was expected. Send a picture of each digit."
    )
