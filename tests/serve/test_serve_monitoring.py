"""The log in JSON lines, and the metrics."""

from __future__ import annotations

import json
import logging
import sys
from datetime import datetime

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from kilonet.serve.monitoring import METRICS_TYPE, JsonLogHandler, log


def test_a_line_is_json_with_the_time(capsys: pytest.CaptureFixture[str]) -> None:
    log("event", level="warning", text='line\nbreak "é"', path=None)
    (line,) = capsys.readouterr().err.splitlines()
    found = json.loads(line)
    assert (found["event"], found["level"], found["text"]) == (
        "event",
        "warning",
        'line\nbreak "é"',
    )
    assert datetime.fromisoformat(found["time"]).utcoffset() is not None


def test_libraries_log_as_json_too(capsys: pytest.CaptureFixture[str]) -> None:
    logger = logging.Logger("some.library")
    logger.addHandler(JsonLogHandler())
    try:
        raise ValueError("odd")
    except ValueError:
        logger.exception("It %s.", "failed")
    found = json.loads(capsys.readouterr().err)
    assert (found["level"], found["message"]) == ("error", "It failed.")
    assert "ValueError: odd" in found["traceback"]


def test_a_closed_stderr_does_not_stop_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed:
        def write(self, text: str) -> None:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stderr", Closed())
    log("event")


def counts(client: httpx.Client) -> dict[tuple[str, ...], float]:
    response = client.get("/metrics")
    assert response.headers["content-type"] == METRICS_TYPE
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


def test_requests_pictures_and_refusals_are_counted(client: httpx.Client, zero: bytes) -> None:
    before = counts(client)
    png = {"content-type": "image/png"}
    client.post("/predict", content=zero, headers=png)
    client.post("/predict", content=b"nonsense", headers=png)
    client.post("/predict", files=[("pictures", zero), ("pictures", b"x")])
    client.get("/made-up-by-the-client")
    after = counts(client)

    def more(*name: str) -> float:
        return after.get(name, 0) - before.get(name, 0)

    assert more("kilonet_requests_total", "/predict", "200") == 2
    assert more("kilonet_requests_total", "/predict", "422") == 1
    assert more("kilonet_requests_total", "(none)", "404") == 1
    assert more("kilonet_predictions_total", "0") == 2
    assert more("kilonet_refused_total", "unreadable") == 2
    assert more("kilonet_refused_total", "not-found") == 1
    assert more("kilonet_request_seconds_count", "/predict") == 3
    assert after["kilonet_in_flight",] == 1
    assert not any("made-up" in label for name in after for label in name)
