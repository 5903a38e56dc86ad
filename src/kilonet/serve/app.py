"""The application: its routes, and what they are described as."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from pydantic_core import to_json
from starlette.responses import Response
from starlette.types import ASGIApp

from kilonet import __version__
from kilonet.serve import answers, metrics, payload, problems
from kilonet.serve.edge import Edge
from kilonet.serve.page import page, policy
from kilonet.serve.reference import reference
from kilonet.serve.service import Service

DESCRIPTION = (
    "Reads handwritten digits in pictures: drawn, scanned or photographed. Every error is a "
    "problem document (RFC 9457) with a word for programs, reason, and a sentence for people, "
    "detail."
)
PREDICT = (
    "Read the digit in one picture, or in each of several. A picture is sent as it is, in a form, "
    "or in JSON as 28×28 grey levels or as a file in base64. One alone is answered with its "
    "reading, or with a problem; a list (of JSON, or a form's files if there are several or their "
    "field is pictures) with one result a picture, so that one that cannot be read does not spoil "
    "the others."
)
MinConfidence = Annotated[
    float, Query(ge=0, le=1, description="Below it, 0 to 1, a reading is unsure.")
]
_HTML = "text/html; charset=utf-8"


def create_app(service: Service) -> ASGIApp:
    """Return the ASGI application around ``service``, whose workers have been started."""
    app = FastAPI(
        title="Kilonet",
        version=__version__,
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        redirect_slashes=False,
    )
    problems.install(app, service.metrics.refused)
    _add_predict(app, service)
    _add_health(app, service)
    _add_pages(app, service)
    return Edge(app, service.metrics)


def _add_predict(app: FastAPI, service: Service) -> None:
    @app.post(
        "/predict",
        description=PREDICT,
        openapi_extra=payload.documented(),
        responses=answers.documented() | problems.documented(400, 401, 408, 413, 415, 422, 503),
        response_class=Response,
    )
    async def predict(request: Request, min_confidence: MinConfidence = 0.0) -> Response:
        service.check_key(request)
        found = await service.predict(request, min_confidence)
        return Response(to_json(found), media_type="application/json")


def _add_health(app: FastAPI, service: Service) -> None:
    ok: dict[int | str, dict[str, Any]] = {
        200: {"content": {"application/json": {"schema": {"type": "object"}}}}
    }

    text: dict[int | str, dict[str, Any]] = {
        200: {"content": {"text/plain": {"schema": {"type": "string"}}}}
    }

    @app.get("/healthz", description="Whether the service runs.", responses=ok)
    async def healthz() -> Response:
        return Response(b'{"status":"ok"}', media_type="application/json")

    @app.get(
        "/readyz",
        description="Whether pictures can be read now.",
        responses=ok | problems.documented(503),
    )
    async def readyz() -> Response:
        service.check_ready()
        return Response(b'{"status":"ready"}', media_type="application/json")

    @app.get(
        "/metrics",
        description="What the service counts, for Prometheus.",
        responses=text | problems.documented(401),
        response_class=Response,
    )
    async def counts(request: Request) -> Response:
        service.check_key(request)
        return Response(service.metrics.text(), headers={"content-type": metrics.MEDIA_TYPE})


def _add_pages(app: FastAPI, service: Service) -> None:
    front = page(service.pool.model, public=not service.has_key)
    front_headers = {"content-security-policy": policy(front)}
    described = reference(app.openapi())
    described_headers = {"content-security-policy": policy(described)}

    @app.get("/", include_in_schema=False)
    async def root() -> Response:
        return Response(front, headers=front_headers, media_type=_HTML)

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        return Response(described, headers=described_headers, media_type=_HTML)
