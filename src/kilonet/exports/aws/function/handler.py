"""The function that AWS Lambda calls: an HTTP request with one picture in, its digit as JSON out.

It takes events of API Gateway (payload formats 1.0 and 2.0) and of function URLs. The body is a
picture file, or JSON: {"image": the file in base64} or {"pixels": rows of grey levels 0–255}.
Errors are returned as problem details (RFC 9457); "kind" names the problem of a picture.
"""

from __future__ import annotations

import base64
import binascii
import json
import traceback
from http import HTTPStatus
from pathlib import Path
from typing import Any

import numpy as np

from kilonet.inference.predict import Reader
from kilonet.preprocessing import PictureError

reader = Reader(Path(__file__).with_name("model.onnx"))  # once for each instance, at its start


class RequestError(Exception):
    """A request that cannot be answered; ``status`` is the HTTP status of the response."""

    def __init__(self, status: HTTPStatus, detail: str, **more: Any) -> None:
        super().__init__(detail)
        self.status, self.detail, self.more = status, detail, more


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Return the response to an HTTP request, as API Gateway and function URLs take it."""
    try:
        prediction = reader.predict(_picture(event))
        return _response(HTTPStatus.OK, "application/json", prediction.to_json())
    except PictureError as error:
        return _problem(_picture_problem(error))
    except RequestError as error:
        return _problem(error)
    except Exception:
        traceback.print_exc()  # for the log; the caller does not see it
        return _problem(RequestError(HTTPStatus.INTERNAL_SERVER_ERROR, "The function failed."))


def _picture(event: dict[str, Any]) -> Any:
    """Return the picture of a request, as bytes or as an array."""
    context = event.get("requestContext") or {}
    method = event.get("httpMethod") or context.get("http", {}).get("method")
    if method is None:
        raise RequestError(HTTPStatus.BAD_REQUEST, "This event is not an HTTP request.")
    if method != "POST":
        detail = f"{method} is not allowed here: POST a picture."
        raise RequestError(HTTPStatus.METHOD_NOT_ALLOWED, detail)
    content = _body(event)
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        return _from_json(content)
    if kind and not kind.startswith("image/") and kind != "application/octet-stream":
        detail = f"The content type is {kind}; send image/*, application/octet-stream or "
        raise RequestError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail + "application/json.")
    return content


def _body(event: dict[str, Any]) -> bytes:
    body = event.get("body") or ""
    content = _decoded(body) if event.get("isBase64Encoded") else body.encode("utf-8")
    if not content:
        raise RequestError(HTTPStatus.BAD_REQUEST, "The request has no body: POST a picture.")
    return content


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)  # MIME wraps lines
    except (binascii.Error, ValueError):
        raise RequestError(HTTPStatus.BAD_REQUEST, "The base64 text is not valid.") from None


def _from_json(content: bytes) -> Any:
    try:
        body = json.loads(content)
    except (ValueError, RecursionError) as error:
        detail = f"The body is not JSON: {error}."
        raise RequestError(HTTPStatus.BAD_REQUEST, detail) from None
    if isinstance(body, dict) and isinstance(body.get("image"), str) and len(body) == 1:
        return _decoded(body["image"])
    if isinstance(body, dict) and isinstance(body.get("pixels"), list) and len(body) == 1:
        return _array(body["pixels"])
    detail = 'The JSON must be {"image": a picture in base64} or {"pixels": rows of 0 to 255}.'
    raise RequestError(HTTPStatus.UNPROCESSABLE_ENTITY, detail)


def _array(rows: list[Any]) -> Any:
    detail = '"pixels" must be rows of one length, of whole numbers from 0 to 255.'
    try:
        pixels = np.array(rows)
    except ValueError:
        raise RequestError(HTTPStatus.UNPROCESSABLE_ENTITY, detail) from None
    fits = pixels.ndim == 2 and pixels.size and np.issubdtype(pixels.dtype, np.integer)
    if not fits or pixels.min() < 0 or pixels.max() > 255:
        raise RequestError(HTTPStatus.UNPROCESSABLE_ENTITY, detail)
    return pixels.astype(np.uint8)


def _picture_problem(error: PictureError) -> RequestError:
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    if error.kind == "too-large":
        status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    detail = str(error)
    if error.kind == "several":  # its remedy is for the command line
        detail = f"{detail.partition(';')[0]}. Send each alone."
    return RequestError(status, detail, kind=error.kind)


def _problem(error: RequestError) -> dict[str, Any]:
    content = {"title": error.status.phrase, "status": error.status, "detail": error.detail}
    response = _response(error.status, "application/problem+json", {**content, **error.more})
    if error.status == HTTPStatus.METHOD_NOT_ALLOWED:
        response["headers"]["allow"] = "POST"
    return response


def _response(status: HTTPStatus, kind: str, content: dict[str, Any]) -> dict[str, Any]:
    return {
        "statusCode": int(status),
        "headers": {"content-type": kind},
        "body": json.dumps(content, ensure_ascii=False),
        "isBase64Encoded": False,
    }
