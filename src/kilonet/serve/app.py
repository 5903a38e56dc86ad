"""The ASGI application: its routes and their OpenAPI descriptions."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query, Request
from pydantic_core import to_json
from starlette.responses import Response
from starlette.types import ASGIApp

from kilonet import __version__
from kilonet.errors import nearest
from kilonet.serve import monitoring, problems
from kilonet.serve.middleware import Middleware
from kilonet.serve.pages import content_security_policy, front_page, reference_page
from kilonet.serve.problems import Problem
from kilonet.serve.request_body import describe_body
from kilonet.serve.service import Service, describe_predictions

DESCRIPTION = (
    "Predicts handwritten digits in pictures: drawn, scanned or photographed. Every error is a "
    "problem document (RFC 9457) with a word for programs, reason, and a sentence for people, "
    "detail."
)
PREDICT = (
    "Predict the digit in one picture, or in each of several. Send a picture's file as the body or "
    "in a form, or send JSON with 28×28 grey levels or a file in base64. The response to a single "
    "picture is its prediction or a problem. The response to a list (in JSON, several files in a "
    "form, or files in the field pictures) has one result for each picture, so one bad picture "
    "does not affect the others."
)
MinConfidence = Annotated[
    float, Query(ge=0, le=1, description="A prediction below it, 0 to 1, is unsure.")
]
Force = Annotated[
    bool, Query(description="Predict also what does not look like a digit, instead of refusing it.")
]
_HTML = "text/html; charset=utf-8"


def create_app(service: Service) -> ASGIApp:
    """Return the ASGI application for ``service``, whose workers are started."""
    app = FastAPI(
        title="Kilonet",
        version=__version__,
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        redirect_slashes=False,
    )
    problems.install_handlers(app, service.metrics.count_refusal)
    _add_predict(app, service)
    _add_health(app, service)
    _add_pages(app, service)
    return Middleware(app, service.metrics)


def _add_predict(app: FastAPI, service: Service) -> None:
    @app.post(
        "/predict",
        description=PREDICT,
        dependencies=[Depends(require_known_parameters)],
        openapi_extra=describe_body(),
        responses=describe_predictions() | problems.describe(400, 401, 408, 413, 415, 422, 503),
        response_class=Response,
    )
    async def predict(
        request: Request, min_confidence: MinConfidence = 0.0, force: Force = False
    ) -> Response:
        service.check_key(request)
        content = await service.predict(request, min_confidence, force)
        return Response(to_json(content), media_type="application/json")


def require_known_parameters(request: Request) -> None:
    """Check that the route has all parameters of the query: a misspelt one would have no effect.

    Raises:
        Problem: it does not (422).
    """
    known = [parameter.alias for parameter in request.scope["route"].dependant.query_params]
    for name in request.query_params:
        if name not in known:
            near = nearest(name, known)
            raise Problem(422, f'There is no parameter "{name[:60]}".{near} GET /docs lists them.')


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
        description="Whether the service can predict now.",
        responses=ok | problems.describe(503),
    )
    async def readyz() -> Response:
        service.check_ready()
        return Response(b'{"status":"ready"}', media_type="application/json")

    @app.get(
        "/metrics",
        description="The service's metrics, for Prometheus.",
        responses=text | problems.describe(401),
        response_class=Response,
    )
    async def metrics(request: Request) -> Response:
        service.check_key(request)
        headers = {"content-type": monitoring.METRICS_TYPE}
        return Response(service.metrics.text(), headers=headers)


def _add_pages(app: FastAPI, service: Service) -> None:
    front = front_page(service.pool.model, public=not service.has_key)
    front_headers = {"content-security-policy": content_security_policy(front)}
    reference = reference_page(app.openapi())
    reference_headers = {"content-security-policy": content_security_policy(reference)}

    @app.get("/", include_in_schema=False)
    async def root() -> Response:
        return Response(front, headers=front_headers, media_type=_HTML)

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        return Response(reference, headers=reference_headers, media_type=_HTML)
