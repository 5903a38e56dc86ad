"""Everything that can go wrong with a request, as the one kind of document that all errors are.

RFC 9457, Problem Details for HTTP APIs: ``status``, ``title`` (that of the status) and ``detail``,
and here always ``reason``, one word for programs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from pydantic_core import to_json
from starlette.responses import Response

if TYPE_CHECKING:
    from fastapi import FastAPI
    from fastapi.exceptions import RequestValidationError
    from starlette.exceptions import HTTPException
    from starlette.requests import Request

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER = "1"  # seconds; what is under way is done by then

REASONS = {
    400: "malformed",
    401: "unauthorised",
    404: "not-found",
    405: "method",
    408: "slow",
    413: "too-large",
    415: "media-type",
    422: "invalid",
    431: "headers",
    500: "internal",
    503: "overload",
}


class Problem(Exception):  # noqa: N818  # the name that the RFC has for it
    """A request cannot be answered. ``detail`` says what is wrong and what to do."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        reason: str | None = None,
        headers: Mapping[str, str] | None = None,
        errors: list[dict[str, str]] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.reason = reason or REASONS.get(status, "refused")
        self.headers = dict(headers or {})
        if status == 503:
            self.headers["retry-after"] = RETRY_AFTER
        self.body: dict[str, Any] = {
            "type": "about:blank",
            "title": HTTPStatus(status).phrase,
            "status": status,
            "detail": detail,
            "reason": self.reason,
        }
        if errors:
            self.body["errors"] = errors

    def response(self) -> Response:
        """Return it as a response."""
        return Response(to_json(self.body), self.status, self.headers, MEDIA_TYPE)


SCHEMA = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "reason"],
    "properties": {
        "type": {"const": "about:blank"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What is wrong, and what to do about it."},
        "reason": {"type": "string", "description": "The same in one word, for programs."},
        "errors": {
            "type": "array",
            "description": "Where the request is wrong.",
            "items": {
                "type": "object",
                "required": ["at", "detail"],
                "properties": {"at": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
    },
}


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the problems with these statuses, as OpenAPI describes responses."""
    content = {MEDIA_TYPE: {"schema": SCHEMA}}
    found: dict[int | str, dict[str, Any]] = {
        status: {"description": HTTPStatus(status).phrase, "content": content}
        for status in statuses
    }
    return found


def install(app: FastAPI, count: Callable[[str], None]) -> None:
    """Make problems of what this code raises and of what the framework does, and count them."""
    from fastapi.exceptions import RequestValidationError
    from starlette.exceptions import HTTPException

    for kind, problem_of in (
        (Problem, _itself),
        (HTTPException, _of_framework),
        (RequestValidationError, _of_validation),
    ):
        app.add_exception_handler(kind, _handler(problem_of, count))


def _handler(problem_of: Callable[[Request, Any], Problem], count: Callable[[str], None]) -> Any:
    async def handle(request: Request, error: Exception) -> Response:
        problem = problem_of(request, error)
        count(problem.reason)
        return problem.response()

    return handle


def _itself(_: Request, problem: Problem) -> Problem:
    return problem


def _of_framework(request: Request, error: HTTPException) -> Problem:
    detail = error.detail
    if error.status_code == 404:
        detail = "There is nothing at this path. GET /docs lists what there is."
    elif error.status_code == 405:
        detail = f"This path does not take {request.method[:20]}. GET /docs says what it takes."
    return Problem(error.status_code, detail, headers=error.headers)


def _of_validation(_: Request, error: RequestValidationError) -> Problem:
    errors = [
        {"at": ".".join(map(str, one["loc"])), "detail": str(one["msg"])} for one in error.errors()
    ]
    detail = "; ".join(f"{one['at']}: {one['detail']}" for one in errors)
    return Problem(422, f"The request is wrong: {detail}.", errors=errors)
