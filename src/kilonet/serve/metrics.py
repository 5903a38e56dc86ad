"""What the service counts, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)  # seconds
UNMATCHED = "(none)"  # the route of a path that is none: whoever asks must not make up labels


class Metrics:
    """The service's counters; ``text`` is what a scraper gets."""

    def __init__(self) -> None:
        """Begin at zero."""
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "kilonet_requests", "Requests answered.", ["route", "status"], registry=self._registry
        )
        self._seconds = Histogram(
            "kilonet_request_seconds",
            "Time from a request's headers to the end of its answer.",
            ["route"],
            buckets=BUCKETS,
            registry=self._registry,
        )
        self._predictions = Counter(
            "kilonet_predictions",
            "Pictures read, by the class that they were read as.",
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

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count one request."""
        self._requests.labels(route, status).inc()
        self._seconds.labels(route).observe(seconds)

    def predicted(self, digit: str) -> None:
        """Count one picture that was read."""
        self._predictions.labels(digit).inc()

    def refused(self, reason: str) -> None:
        """Count one request or picture that was refused."""
        self._refused.labels(reason).inc()

    def text(self) -> bytes:
        """Return all of it in Prometheus' text format."""
        return generate_latest(self._registry)
