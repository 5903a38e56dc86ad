"""What the service reports about itself: a JSON log on stderr, and metrics for Prometheus."""

from __future__ import annotations

import json
import logging
import os
import queue
import select
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from kilonet.text import printable_json

LEVELS = {logging.WARNING: "warning", logging.ERROR: "error", logging.CRITICAL: "error"}
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)  # seconds
MAX_WAITING_LINES = 10_000  # of the log; more are dropped and counted
FLUSH_SECONDS = 1.0  # for the waiting lines at the end of the process
UNMATCHED = "(none)"  # the route of an unknown path: clients must not be able to create labels


def log(event: str, *, level: str = "info", **facts: Any) -> None:
    """Write one line of JSON: the time (UTC), the level, the event and ``facts``.

    Nothing in it comes from the content of a picture.
    """
    line = _line(event, level, facts)
    if _writer is not None:
        _writer.put(line)
        return
    with suppress(OSError, ValueError):  # stderr is closed; the service continues
        sys.stderr.write(line)
        sys.stderr.flush()


def _line(event: str, level: str, facts: dict[str, Any]) -> str:
    now = time.time()
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1000):03d}Z"
    line = {"time": moment, "level": level, "event": event, **facts}
    return printable_json(json.dumps(line, ensure_ascii=False, default=str)) + "\n"


class LogWriter:
    """A thread that writes lines to a file descriptor, so that a full pipe blocks nothing else.

    When ``MAX_WAITING_LINES`` wait, further lines are dropped. Their number is the next line.
    """

    def __init__(self, descriptor: int, max_lines: int = MAX_WAITING_LINES) -> None:
        """Start the thread."""
        self.dropped = 0  # lines, since the start
        self._descriptor = descriptor
        self._lines: queue.Queue[str | None] = queue.Queue(max_lines)
        self._reported = 0
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def put(self, line: str) -> None:
        """Queue a line, or drop it."""
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self.dropped += 1

    def close(self, seconds: float) -> None:
        """Wait for the lines to be written, at most ``seconds``."""
        with suppress(queue.Full):
            self._lines.put(None, timeout=seconds)
            self._thread.join(seconds)

    def _run(self) -> None:
        while (line := self._lines.get()) is not None:
            self._write(line)
            if self.dropped > self._reported:
                lines, self._reported = self.dropped - self._reported, self.dropped
                self._write(_line("log-dropped", "warning", {"lines": lines}))

    def _write(self, line: str) -> None:
        rest = line.encode("utf-8", "backslashreplace")
        with suppress(OSError, ValueError):  # it is closed
            while rest:
                try:
                    rest = rest[os.write(self._descriptor, rest) :]
                except BlockingIOError:
                    select.select([], [self._descriptor], [])


_writer: LogWriter | None = None


@contextmanager
def write_log_in_thread() -> Iterator[None]:
    """Write the log in a thread during the body; the waiting lines are written at its end."""
    global _writer  # noqa: PLW0603  # the log is one per process, like stderr
    _writer = LogWriter(sys.stderr.fileno())
    try:
        yield
    finally:
        writer, _writer = _writer, None
        writer.close(FLUSH_SECONDS)


def dropped_lines() -> int:
    """Return the number of lines of the log that were dropped."""
    return _writer.dropped if _writer else 0


class JsonLogHandler(logging.Handler):
    """Writes the records of ``logging``, such as those of Uvicorn and asyncio, to the log."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, with its traceback if it has one."""
        facts: dict[str, Any] = {"logger": record.name, "message": record.getMessage()}
        if record.exc_info:
            facts["traceback"] = logging.Formatter().formatException(record.exc_info)
        log("library", level=LEVELS.get(record.levelno, "info"), **facts)


def redirect_library_logs() -> None:
    """Send what libraries log, from warnings up, to this log."""
    root = logging.getLogger()
    root.handlers = [JsonLogHandler()]
    root.setLevel(logging.WARNING)
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # it warns of each bad form


class ServiceMetrics:
    """The service's counters; ``text`` returns them for a Prometheus scraper."""

    def __init__(self) -> None:
        """Begin at zero."""
        # Imported here, because the worker processes use only the log.
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        self._registry = CollectorRegistry()
        self._requests = Counter(
            "kilonet_requests", "Requests answered.", ["route", "status"], registry=self._registry
        )
        self._seconds = Histogram(
            "kilonet_request_seconds",
            "Time from a request's headers to the end of its response.",
            ["route"],
            buckets=BUCKETS,
            registry=self._registry,
        )
        self._predictions = Counter(
            "kilonet_predictions",
            "Pictures classified, by predicted class.",
            ["digit"],
            registry=self._registry,
        )
        self._refused = Counter(
            "kilonet_refused",
            "Requests, and pictures in a batch, that were refused, by reason.",
            ["reason"],
            registry=self._registry,
        )
        dropped = Gauge(
            "kilonet_log_lines_dropped",
            "Lines of the log that were dropped, because nobody read it.",
            registry=self._registry,
        )
        dropped.set_function(dropped_lines)
        self.in_flight = Gauge(
            "kilonet_in_flight", "Requests being answered.", registry=self._registry
        )

    def count_request(self, route: str, status: int, seconds: float) -> None:
        """Count one request and its duration."""
        self._requests.labels(route, status).inc()
        self._seconds.labels(route).observe(seconds)

    def count_prediction(self, digit: str) -> None:
        """Count one classified picture."""
        self._predictions.labels(digit).inc()

    def count_refusal(self, reason: str) -> None:
        """Count one request or picture that was refused."""
        self._refused.labels(reason).inc()

    def text(self) -> bytes:
        """Return all counters in Prometheus' text format."""
        from prometheus_client import generate_latest

        return generate_latest(self._registry)
