"""Problem documents."""

from __future__ import annotations

import json
from http import HTTPStatus

import httpx
import pytest

from kilonet.serve.problems import MEDIA_TYPE, SCHEMA, Problem, describe


def test_the_document() -> None:
    response = Problem(413, "Too much.", reason="batch", headers={"x": "y"}).response()
    assert response.status_code == 413
    assert response.headers["content-type"] == MEDIA_TYPE
    assert response.headers["x"] == "y"
    assert json.loads(bytes(response.body)) == {
        "type": "about:blank",
        "title": HTTPStatus(413).phrase,
        "status": 413,
        "detail": "Too much.",
        "reason": "batch",
    }


def test_a_503_has_retry_after() -> None:
    assert Problem(503, "Busy.").headers == {"retry-after": "1"}
    assert Problem(503, "Busy.").reason == "overload"


def test_the_document_has_the_errors() -> None:
    errors = [{"at": "pixels.0", "detail": "Too short."}]
    assert Problem(422, "Wrong.", errors=errors).body["errors"] == errors


def test_the_schema_has_every_member() -> None:
    body = Problem(422, "Wrong.", errors=[{"at": "", "detail": ""}]).body
    assert set(body) == set(SCHEMA["properties"])  # type: ignore[call-overload]
    assert set(describe(404, 503)) == {404, 503}


@pytest.mark.parametrize(
    ("method", "path", "status", "reason", "words"),
    [
        ("GET", "/nothing", 404, "not-found", "GET /docs lists"),
        ("GET", "/docs/", 404, "not-found", "GET /docs lists"),
        ("DELETE", "/healthz", 405, "method", "takes only GET, HEAD"),
        ("POST", "/predict?min_confidence=2", 422, "invalid", "query.min_confidence"),
        ("POST", "/predict?min_confidence=NaN", 422, "invalid", "query.min_confidence"),
        ("POST", "/predict?min_confidence=much", 422, "invalid", "valid number"),
    ],
)
def test_errors_of_the_framework_are_problems(
    client: httpx.Client, method: str, path: str, status: int, reason: str, words: str
) -> None:
    response = client.request(method, path)
    assert response.status_code == status
    assert response.headers["content-type"] == MEDIA_TYPE
    assert response.json()["reason"] == reason
    assert words in response.json()["detail"]
