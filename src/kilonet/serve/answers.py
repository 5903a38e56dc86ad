"""What the service says of pictures: what was read, or why nothing was."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kilonet.inference.predict import Prediction
from kilonet.serve.problems import Problem
from kilonet.serve.wire import Outcome, Refusal

TOO_LARGE = "too-large"
SEVERAL = "several"


def answer(outcome: Outcome, classes: Sequence[str], min_confidence: float) -> dict[str, Any]:
    """Return one picture's entry: the reading and all probabilities, or the error."""
    if isinstance(outcome, Refusal):
        return {"error": outcome.kind, "message": _message(outcome)}
    reading = Prediction.from_probabilities(outcome, classes, min_confidence)
    shares = {name: round(share, 6) for name, share in zip(classes, outcome, strict=True)}
    return {**reading.to_json(), "probabilities": shares}


def problem(refusal: Refusal) -> Problem:
    """Return what to answer if the one picture of a request was refused."""
    status = 413 if refusal.kind == TOO_LARGE else 422
    return Problem(status, _message(refusal), reason=refusal.kind)


def _message(refusal: Refusal) -> str:
    if refusal.kind == SEVERAL:  # its own message names an option of the command line
        return refusal.message.partition(";")[0] + ". Send a picture of each digit."
    return refusal.message


READING: dict[str, Any] = {
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
        "digit": {"type": "string", "description": "The likeliest class."},
        "confidence": {"type": "number", "minimum": 0, "maximum": 1},
        "runner_up": {"type": "string", "description": "The class after it."},
        "runner_up_confidence": {"type": "number", "minimum": 0, "maximum": 1},
        "unsure": {
            "type": "boolean",
            "description": "Whether the confidence is below min_confidence.",
        },
        "probabilities": {
            "type": "object",
            "additionalProperties": {"type": "number", "minimum": 0, "maximum": 1},
        },
    },
}
FAILURE: dict[str, Any] = {
    "type": "object",
    "required": ["error", "message"],
    "properties": {
        "error": {"type": "string", "description": "Why, in one word."},
        "message": {"type": "string", "description": "Why, and what to do about it."},
    },
}
RESULTS: dict[str, Any] = {
    "type": "object",
    "required": ["results"],
    "properties": {"results": {"type": "array", "items": {"oneOf": [READING, FAILURE]}}},
}


def documented() -> dict[int | str, dict[str, Any]]:
    """Return the answers as OpenAPI describes them."""
    words = "What was read: of one picture, or of each of several, in their order."
    schema = {"oneOf": [READING, RESULTS]}
    return {200: {"description": words, "content": {"application/json": {"schema": schema}}}}
