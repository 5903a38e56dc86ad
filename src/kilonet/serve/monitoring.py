"""What the service reports about itself: a JSON log on stderr, and metrics for Prometheus."""

from __future__ import annotations

import json
import logging
import sys
import time
from contextlib import suppress
from typing import Any

LEVELS = {logging.WARNING: "warning", logging.ERROR: "error", logging.CRITICAL: "error"}
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)  # seconds
UNMATCHED = "(none)"  # the route of an unknown path: clients must not be able to create labels


def log(event: str, *, level: str = "info", **facts: Any) -> None:
    """Write one line of JSON: the time (UTC), the level, the event and ``facts``.

    Nothing in it comes from the content of a picture.
    """
    now = time.time()
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1000):03d}Z"
    line = {"time": moment, "level": level, "event": event, **facts}
    with suppress(OSError, ValueError):  # stderr is closed; the service continues
        sys.stderr.write(json.dumps(line, ensure_ascii=False, default=str) + "\n")
        sys.stderr.flush()


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
