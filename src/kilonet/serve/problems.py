"""Error responses: every error is a problem document (RFC 9457, Problem Details for HTTP APIs).

It has ``status``, ``title`` (the status' phrase), ``detail`` (a sentence for people) and always
``reason`` (one word for programs).
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
RETRY_AFTER = "1"  # seconds; the open requests are done by then

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


class Problem(Exception):  # noqa: N818  # the name in the RFC
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
        """Return the HTTP response."""
        return Response(to_json(self.body), self.status, self.headers, MEDIA_TYPE)


def too_many_pictures(maximum: int) -> Problem:
    """Return the response to a request with more than ``maximum`` pictures."""
    return Problem(
        413,
        f"There are more than {maximum} pictures. Send them in several requests, or start the "
        "service with a larger --max-batch.",
        reason="batch",
    )


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


def describe(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return OpenAPI's description of the error responses with these statuses."""
    content = {MEDIA_TYPE: {"schema": SCHEMA}}
    responses: dict[int | str, dict[str, Any]] = {
        status: {"description": HTTPStatus(status).phrase, "content": content}
        for status in statuses
    }
    return responses


def install_handlers(app: FastAPI, count: Callable[[str], None]) -> None:
    """Turn this package's and the framework's exceptions into problems, and count them."""
    from fastapi.exceptions import RequestValidationError
    from starlette.exceptions import HTTPException

    for kind, convert in (
        (Problem, _same),
        (HTTPException, _from_framework),
        (RequestValidationError, _from_validation),
    ):
        app.add_exception_handler(kind, _handler(convert, count))


def _handler(convert: Callable[[Request, Any], Problem], count: Callable[[str], None]) -> Any:
    async def handle(request: Request, error: Exception) -> Response:
        problem = convert(request, error)
        count(problem.reason)
        return problem.response()

    return handle


def _same(_: Request, problem: Problem) -> Problem:
    return problem


def _from_framework(_: Request, error: HTTPException) -> Problem:
    detail, headers = error.detail, dict(error.headers or {})
    if error.status_code == 404:
        detail = "There is nothing at this path. GET /docs lists the paths."
    elif error.status_code == 405:
        methods = headers.pop("Allow", "").split(", ")
        headers["allow"] = ", ".join([*methods, "HEAD"] if "GET" in methods else methods)
        detail = f"This path takes only {headers['allow']}. GET /docs lists the methods."
    return Problem(error.status_code, detail, headers=headers)


def _from_validation(_: Request, error: RequestValidationError) -> Problem:
    errors = [
        {"at": ".".join(map(str, one["loc"])), "detail": str(one["msg"])} for one in error.errors()
    ]
    detail = "; ".join(f"{one['at']}: {one['detail']}" for one in errors)
    return Problem(422, f"The request is wrong: {detail}.", errors=errors)
