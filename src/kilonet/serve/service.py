"""Answer prediction requests: limit the load, read the body, send it to the workers, respond."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from starlette.requests import Request

from kilonet.inference.predict import Prediction
from kilonet.runs import layout
from kilonet.serve.messages import Refusal, RequestPicture, Result
from kilonet.serve.monitoring import ServiceMetrics
from kilonet.serve.pool import PredictionLostError, WorkerPool
from kilonet.serve.problems import Problem
from kilonet.serve.request_body import ParsedBody, parse_body, read_body
from kilonet.serve.settings import Settings, accepts

SMALL_BODY = 65_536  # bytes; parsed in less time than a thread takes to start
TOO_LARGE = "too-large"
SEVERAL = "several"
BUSY_CLIENT = "Your address has as many open requests as one may. Send it again in a second."
NOT_A_DIGIT = Refusal(
    "not-a-digit",
    "The picture does not look like a digit. Send one of a digit; with ?force=true, the most "
    "similar digit is predicted.",
)
BUSY = "The service has as many requests as it takes at once. Send it again in a second."


class Service:
    """The workers, the settings and the metrics behind the routes."""

    def __init__(self, settings: Settings, pool: WorkerPool, key: str | None) -> None:
        """Create the service; requests must have ``key`` if it is not None."""
        self.settings = settings
        self.pool = pool
        self.metrics = ServiceMetrics()
        self._key = key
        # One thread parses large bodies: it leaves the event loop its share of the interpreter.
        self._parser = ThreadPoolExecutor(1, "parse-bodies")
        self._open_requests: Counter[str] = Counter()  # by the client's address

    @property
    def model(self) -> dict[str, str]:
        """The name of the model, that of its run or its file, and the version of its file."""
        path = self.pool.model
        name = path.parent.name if path.name == layout.ONNX else path.stem
        return {"name": name, "version": self.pool.version}

    @property
    def has_key(self) -> bool:
        """Whether requests need a key."""
        return self._key is not None

    def check_key(self, request: Request) -> None:
        """Check that a request has the API key, if one is set.

        Raises:
            Problem: it does not (401).
        """
        header = request.headers.get("authorization", "")
        if self._key is not None and not accepts(self._key, header):
            raise Problem(
                401,
                "This service needs its API key. Send it as Authorization: Bearer KEY.",
                headers={"www-authenticate": "Bearer"},
            )

    def check_ready(self) -> None:
        """Check that a worker is ready to predict.

        Raises:
            Problem: none is (503).
        """
        if not self.pool.ready:
            raise Problem(503, "No worker is ready yet. Ask again in a second.", reason="not-ready")

    async def predict(
        self, request: Request, min_confidence: float, force: bool = False
    ) -> dict[str, Any]:
        """Return the response to a request: one entry, or a list with one for each picture.

        With ``force``, what does not look like a digit is predicted too.

        Raises:
            Problem: the request is refused, or its only picture is.
        """
        client = request.client.host if request.client else ""
        with self._limit_open_requests(client):
            content = await read_body(request, self.settings)
            body = await self._parse(content, request.headers.get("content-type", ""))
            results = [
                NOT_A_DIGIT if _is_refused(one) and not force else one
                for one in await self._predict(body, client)
            ]
        request.state.facts = {"pictures": len(results), "bytes": len(content)}
        if body.single and isinstance(results[0], Refusal):
            raise problem_of(results[0])
        entries = [entry_of(one, self.pool.classes, min_confidence) for one in results]
        self._count(entries)
        content_of_all = entries[0] if body.single else {"results": entries}
        return {**content_of_all, "model": self.model}

    async def _parse(self, content: bytes, content_type: str) -> ParsedBody:
        if len(content) <= SMALL_BODY:
            return parse_body(content, content_type, self.settings.max_batch)
        loop, maximum = asyncio.get_running_loop(), self.settings.max_batch
        return await loop.run_in_executor(self._parser, parse_body, content, content_type, maximum)

    @contextmanager
    def _limit_open_requests(self, client: str) -> Iterator[None]:
        if self._open_requests.total() >= self.settings.max_at_once:
            raise Problem(503, BUSY)
        if self._open_requests[client] >= self.settings.max_per_client:
            raise Problem(503, BUSY_CLIENT)
        self._open_requests[client] += 1
        try:
            yield
        finally:
            self._open_requests[client] -= 1
            self._open_requests += Counter()  # removes clients without one

    async def _predict(self, body: ParsedBody, client: str) -> list[Result]:
        pictures = [one for one in body.pictures if isinstance(one, RequestPicture)]
        try:
            async with asyncio.timeout(self.settings.work_seconds):
                results = iter(await self.pool.predict(pictures, client))
        except TimeoutError:
            raise Problem(503, BUSY) from None
        except PredictionLostError:
            detail = "The worker that had it was lost, and is being replaced. Send it again."
            raise Problem(503, detail, reason="worker-lost") from None
        return [next(results) if isinstance(one, RequestPicture) else one for one in body.pictures]

    def _count(self, entries: list[dict[str, Any]]) -> None:
        for entry in entries:
            if "error" in entry:
                self.metrics.count_refusal(entry["error"])
            else:
                self.metrics.count_prediction(entry["digit"])


def entry_of(result: Result, classes: Sequence[str], min_confidence: float) -> dict[str, Any]:
    """Return the JSON of one picture: its prediction and all probabilities, or its error."""
    if isinstance(result, Refusal):
        return {"error": result.kind, "message": _message(result)}
    prediction = Prediction.from_classification(result, classes, min_confidence)
    values = zip(classes, result.probabilities, strict=True)
    rounded = {name: round(value, 6) for name, value in values}
    return {**prediction.to_json(), "probabilities": rounded}


def _is_refused(result: Result) -> bool:
    return not isinstance(result, Refusal) and result.is_refused


def problem_of(refusal: Refusal) -> Problem:
    """Return the error response for a request whose only picture was refused."""
    status = 413 if refusal.kind == TOO_LARGE else 422
    return Problem(status, _message(refusal), reason=refusal.kind)


def _message(refusal: Refusal) -> str:
    if refusal.kind == SEVERAL:  # its own message names an option of the command line
        return refusal.message.partition(";")[0] + ". Send a picture of each digit."
    return refusal.message


PREDICTION_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": [
        "digit",
        "confidence",
        "runner_up",
        "runner_up_confidence",
        "unsure",
        "probabilities",
    ],
    "properties": {
        "digit": {"type": "string", "description": "The most likely class."},
        "confidence": {"type": "number", "minimum": 0, "maximum": 1},
        "runner_up": {"type": "string", "description": "The second most likely class."},
        "runner_up_confidence": {"type": "number", "minimum": 0, "maximum": 1},
        "unsure": {
            "type": "boolean",
            "description": "Whether the confidence is below min_confidence, or this does not look "
            "like a digit.",
        },
        "digit_score": {
            "type": "number",
            "minimum": 0,
            "maximum": 1,
            "description": "How much the picture looks like a digit; below 0.5 it is refused.",
        },
        "notes": {
            "type": "array",
            "items": {"type": "string"},
            "description": "What the picture leaves in doubt, a sentence each.",
        },
        "probabilities": {
            "type": "object",
            "additionalProperties": {"type": "number", "minimum": 0, "maximum": 1},
        },
    },
}
ERROR_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["error", "message"],
    "properties": {
        "error": {"type": "string", "description": "Why, in one word."},
        "message": {"type": "string", "description": "Why, and what to do about it."},
    },
}
MODEL_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["name", "version"],
    "properties": {
        "name": {"type": "string", "description": "The name of the run or the file."},
        "version": {"type": "string", "description": "12 digits of the SHA-256 of its file."},
    },
}
RESULTS_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["results", "model"],
    "properties": {
        "results": {"type": "array", "items": {"oneOf": [PREDICTION_SCHEMA, ERROR_SCHEMA]}},
        "model": MODEL_SCHEMA,
    },
}


def describe_predictions() -> dict[int | str, dict[str, Any]]:
    """Return OpenAPI's description of the successful responses of ``/predict``."""
    text = "The prediction for one picture, or the results of several, in their order."
    single = {
        **PREDICTION_SCHEMA,
        "required": [*PREDICTION_SCHEMA["required"], "model"],
        "properties": {**PREDICTION_SCHEMA["properties"], "model": MODEL_SCHEMA},
    }
    schema = {"oneOf": [single, RESULTS_SCHEMA]}
    return {200: {"description": text, "content": {"application/json": {"schema": schema}}}}
