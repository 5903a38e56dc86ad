"""What answers a prediction: admission, the body, the workers, the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from starlette.requests import Request

from kilonet.serve import answers
from kilonet.serve.body import read_body
from kilonet.serve.key import accepts
from kilonet.serve.metrics import Metrics
from kilonet.serve.payload import Payload, payload
from kilonet.serve.pool import Pool, WorkerLostError
from kilonet.serve.problems import Problem
from kilonet.serve.settings import Settings
from kilonet.serve.wire import Outcome, Picture, Refusal

BUSY = "The service has all the requests that it takes at once. Send it again in a second."


class Service:
    """The workers, the settings and the counters behind the routes."""

    def __init__(self, settings: Settings, pool: Pool, key: str | None) -> None:
        """Join the parts; ``key`` is what requests must have, if any."""
        self.settings = settings
        self.pool = pool
        self.metrics = Metrics()
        self._key = key
        self._under_way = 0

    @property
    def has_key(self) -> bool:
        """Whether requests need a key."""
        return self._key is not None

    def check_key(self, request: Request) -> None:
        """Check that a request has the API key, if there is one.

        Raises:
            Problem: it has not.
        """
        given = request.headers.get("authorization", "")
        if self._key is not None and not accepts(self._key, given):
            raise Problem(
                401,
                "This service needs its API key. Send it as Authorization: Bearer KEY.",
                headers={"www-authenticate": "Bearer"},
            )

    def check_ready(self) -> None:
        """Check that there is a worker to read pictures.

        Raises:
            Problem: there is none.
        """
        if not self.pool.ready:
            raise Problem(503, "No worker is ready yet. Ask again in a second.", reason="not-ready")

    async def predict(self, request: Request, min_confidence: float) -> dict[str, Any]:
        """Return the answer to a request: one entry, or one for each of its pictures.

        Raises:
            Problem: the request is refused, or its only picture is.
        """
        with self._admitted():
            body = await read_body(request, self.settings)
            kind = request.headers.get("content-type", "")
            found = payload(body, kind, self.settings.max_batch)
            outcomes = await self._read(found)
        request.state.facts = {"pictures": len(outcomes), "bytes": len(body)}
        if found.single and isinstance(outcomes[0], Refusal):
            raise answers.problem(outcomes[0])
        entries = [answers.answer(one, self.pool.classes, min_confidence) for one in outcomes]
        self._count(entries)
        return entries[0] if found.single else {"results": entries}

    @contextmanager
    def _admitted(self) -> Iterator[None]:
        if self._under_way >= self.settings.max_at_once:
            raise Problem(503, BUSY)
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1

    async def _read(self, found: Payload) -> list[Outcome]:
        pictures = [one for one in found.pictures if isinstance(one, Picture)]
        try:
            async with asyncio.timeout(self.settings.work_seconds):
                outcomes = iter(await self.pool.read(pictures))
        except TimeoutError:
            raise Problem(503, BUSY) from None
        except WorkerLostError:
            detail = "The worker that had it was lost, and is being replaced. Send it again."
            raise Problem(503, detail, reason="worker-lost") from None
        return [next(outcomes) if isinstance(one, Picture) else one for one in found.pictures]

    def _count(self, entries: list[dict[str, Any]]) -> None:
        for entry in entries:
            if "error" in entry:
                self.metrics.refused(entry["error"])
            else:
                self.metrics.predicted(entry["digit"])
