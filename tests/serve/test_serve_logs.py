"""The log: JSON lines."""

from __future__ import annotations

import json
import logging
import sys
from datetime import datetime

import pytest

from kilonet.serve.logs import ToLog, log


def test_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    log("event", level="warning", text='line\nbreak "é"', path=None)
    (line,) = capsys.readouterr().err.splitlines()
    found = json.loads(line)
    assert (found["event"], found["level"], found["text"]) == (
        "event",
        "warning",
        'line\nbreak "é"',
    )
    assert datetime.fromisoformat(found["time"]).utcoffset() is not None


def test_what_libraries_say(capsys: pytest.CaptureFixture[str]) -> None:
    logger = logging.Logger("library.of.others")
    logger.addHandler(ToLog())
    try:
        raise ValueError("odd")
    except ValueError:
        logger.exception("It %s.", "failed")
    found = json.loads(capsys.readouterr().err)
    assert (found["level"], found["message"]) == ("error", "It failed.")
    assert "ValueError: odd" in found["traceback"]


def test_a_log_that_nobody_reads_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed:
        def write(self, text: str) -> None:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stderr", Closed())
    log("event")
