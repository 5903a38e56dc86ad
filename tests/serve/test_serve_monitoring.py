"""The log in JSON lines, and the metrics."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from kilonet.serve.monitoring import METRICS_TYPE, JsonLogHandler, LogWriter, log
from service import command


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


@pytest.mark.parametrize("name", ["\x9b31mred", "exe\u202egpj", "\u2066x", "caf\udce9", "\x1b[2J"])
def test_names_do_not_control_the_terminal(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    log("event", path=name)
    line = capsys.readouterr().err
    assert json.loads(line)["path"] == name
    assert line[:-1].isprintable()
    assert line.encode()


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


def read_all(descriptor: int) -> list[dict[str, object]]:
    with open(descriptor, "rb") as pipe:
        return [json.loads(line) for line in pipe.read().splitlines()]


@pytest.mark.parametrize("blocking", [True, False])
def test_a_log_that_nobody_reads_drops_lines_and_counts_them(blocking: bool) -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, blocking)
    log_writer = LogWriter(writer, max_lines=10)
    line = json.dumps({"event": "x", "text": "a" * 1000}) + "\n"
    began = time.monotonic()
    for _ in range(1000):
        log_writer.put(line)
    log_writer.close(0.1)
    assert time.monotonic() - began < 5
    dropped = log_writer.dropped
    assert 0 < dropped < 1000
    with ThreadPoolExecutor(1) as thread:
        reading = thread.submit(read_all, reader)
        log_writer.close(30)
        os.close(writer)
        lines = reading.result(30)
    assert sum(one["event"] == "x" for one in lines) == 1000 - dropped
    assert sum(one["lines"] for one in lines if one["event"] == "log-dropped") == dropped  # type: ignore[misc]


def test_a_log_that_nobody_reads_does_not_block_the_service(model: Path, zero: bytes) -> None:
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    words = command(model, "--workers", "1")
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=writer, text=True)
    with process:
        assert process.stdout is not None
        address = process.stdout.readline().split()[2]
        with httpx.Client(base_url=address, timeout=20) as client:
            for _ in range(60):
                assert client.get("/healthz").status_code == 200
            assert client.post("/predict", files={"picture": zero}).status_code == 200
            assert "kilonet_log_lines_dropped 0.0" in client.get("/metrics").text
        process.terminate()
        assert process.wait(20) == 0
    os.close(reader)
    os.close(writer)


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
