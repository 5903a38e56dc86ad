"""Read a request's body within its limits, and get the pictures from it by its media type."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from kilonet.serve import json_body
from kilonet.serve.messages import Refusal, RequestPicture
from kilonet.serve.problems import Problem, too_many_pictures
from kilonet.serve.settings import Settings, option

IMAGE_TYPES = (
    "application/octet-stream",
    "image/png",
    "image/jpeg",
    "image/gif",
    "image/webp",
    "image/bmp",
    "image/tiff",
    "image/x-portable-anymap",
    "image/x-portable-graymap",
    "image/x-portable-bitmap",
    "image/x-portable-pixmap",
)
FORM, JSON = "multipart/form-data", "application/json"
ONE_FIELD, MANY_FIELD = "picture", "pictures"
MAX_OTHER_PARTS = 16  # parts of a form that are not files: its other fields
MAX_CONTENT_TYPE = 500  # characters
MAX_DISPOSITION = 2000  # bytes of a part's Content-Disposition: the names of its field and its file
MAX_PADDING = 100  # spaces and tabs between a boundary and the end of its line
_EXPECTED_FORM = "Send multipart/form-data with a boundary, as curl -F picture=@FILE does."


@dataclass(frozen=True)
class ParsedBody:
    """The pictures of a request, or why one was refused; ``single`` if it is not a list."""

    pictures: list[RequestPicture | Refusal]
    single: bool


async def read_body(request: Request, settings: Settings) -> bytes:
    """Return the whole body of a request.

    Raises:
        Problem: it is too large (413; before it is read if it has a Content-Length), too slow
            (408), compressed (415), or incomplete (400).
    """
    _check_headers(request, settings)
    try:
        async with asyncio.timeout(settings.body_seconds):
            return await _read_chunks(request, settings)
    except TimeoutError:
        raise Problem(
            408,
            f"The body did not arrive within {settings.body_seconds:g} seconds. Send it faster, "
            f"or start the service with a larger {option('body_seconds')}.",
        ) from None
    except ClientDisconnect:
        raise Problem(400, "The body ended early.") from None


def _check_headers(request: Request, settings: Settings) -> None:
    content_encoding = request.headers.get("content-encoding", "identity")
    if content_encoding.lower() != "identity":
        raise Problem(
            415,
            "Compressed bodies are not supported. Send it without Content-Encoding.",
            headers={"accept-encoding": "identity"},
        )
    length = request.headers.get("content-length", "0")
    if int(length) > settings.max_body:  # the server has checked that it is a number
        raise _too_large(settings)


async def _read_chunks(request: Request, settings: Settings) -> bytes:
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > settings.max_body:
            raise _too_large(settings)
        chunks.append(chunk)
    return b"".join(chunks)


def _too_large(settings: Settings) -> Problem:
    return Problem(
        413,
        f"The body is larger than {settings.max_body:,} bytes. Send smaller pictures or fewer, or "
        f"start the service with a larger {option('max_body')}.",
    )


def parse_body(body: bytes, content_type: str, max_pictures: int) -> ParsedBody:
    """Return the pictures in a body of ``content_type``.

    Raises:
        Problem: the type is not supported (415), or the body does not match it.
    """
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type == JSON:
        return ParsedBody(*json_body.parse_json(body, max_pictures))
    if media_type == FORM:
        return _parse_form(body, content_type, max_pictures)
    if media_type in IMAGE_TYPES:
        return ParsedBody([RequestPicture("file", body)], single=True)
    fault = (
        f'"{media_type[:60]}" is not supported' if media_type else "The request has no Content-Type"
    )
    raise Problem(
        415,
        f"{fault}. Send a picture's file (Content-Type: image/png, image/jpeg, …, or "
        f"{IMAGE_TYPES[0]}), a form with files ({FORM}), or {JSON}.",
        headers={"accept": ", ".join((*IMAGE_TYPES, FORM, JSON))},
    )


# Forms (multipart/form-data, RFC 7578). The body is in memory, and its size is limited.


def _parse_form(body: bytes, content_type: str, max_pictures: int) -> ParsedBody:
    files = form_files(body, content_type, max_pictures)
    if not files:
        raise Problem(
            422,
            f'The form has no file. Send one as the field "{ONE_FIELD}", or several as '
            f'"{MANY_FIELD}" (curl -F {ONE_FIELD}=@FILE).',
        )
    single = len(files) == 1 and files[0].name != MANY_FIELD
    return ParsedBody([RequestPicture("file", part.content) for part in files], single)


def form_files(body: bytes, content_type: str, max_files: int) -> list[FormPart]:
    """Return the parts of a form that are files, in their order.

    Raises:
        Problem: it is not such a form (400), or has more than ``max_files`` files (413).
    """
    boundary = parse_options_header(content_type[:MAX_CONTENT_TYPE])[1].get(b"boundary", b"")
    if not boundary:
        raise Problem(400, f"The form has no boundary. {_EXPECTED_FORM}")
    _check_boundaries(body, boundary, max_files)
    collector = _PartCollector(max_files + MAX_OTHER_PARTS)
    names = ("part_begin", "part_data", "header_field", "header_value", "header_end", "end")
    callbacks = {f"on_{name}": getattr(collector, f"on_{name}") for name in names}
    try:
        parser = MultipartParser(boundary, callbacks)  # type: ignore[arg-type]  # a TypedDict
        parser.write(body)
    except FormParserError:
        raise _malformed_form() from None
    except _TooManyPartsError:
        raise too_many_pictures(max_files) from None
    if not collector.complete:
        raise Problem(400, f"The form ends before its last boundary. {_EXPECTED_FORM}")
    files = [part for part in collector.parts if part.is_file]
    if len(files) > max_files:
        raise too_many_pictures(max_files)
    return files


def _check_boundaries(body: bytes, boundary: bytes, max_files: int) -> None:
    """Refuse a body that the parser would step through byte by byte.

    The parser finds boundaries with ``bytes.find``, but inspects each byte after one. A line that
    begins with the boundary belongs to no part (RFC 2046), so there are at most as many as parts.
    """
    line = re.compile(rb"\r\n--" + re.escape(boundary) + rb"([ \t]*)")
    for count, match in enumerate(line.finditer(body)):
        if count > max_files + MAX_OTHER_PARTS:
            raise too_many_pictures(max_files)
        if len(match[1]) > MAX_PADDING:
            raise _malformed_form()


def _malformed_form() -> Problem:
    return Problem(400, f"The form is malformed. {_EXPECTED_FORM}")


@dataclass
class FormPart:
    """A part of a form: the name of its field, and its bytes."""

    name: str = ""
    is_file: bool = False
    described: bool = False  # whether its Content-Disposition is known
    chunks: list[bytes] = field(default_factory=list)

    @property
    def content(self) -> bytes:
        """All bytes."""
        return b"".join(self.chunks)


class _PartCollector:
    """The callbacks of the form parser."""

    def __init__(self, max_parts: int) -> None:
        self.parts: list[FormPart] = []
        self.complete = False
        self._max_parts = max_parts
        self._header = self._value = b""

    def on_part_begin(self) -> None:
        if len(self.parts) == self._max_parts:
            raise _TooManyPartsError
        self.parts.append(FormPart())

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        self.parts[-1].chunks.append(data[start:end])

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def on_header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            if self.parts[-1].described or len(self._value) > MAX_DISPOSITION:
                raise FormParserError("The part has two dispositions, or a very long one.")
            options = parse_options_header(self._value)[1]
            self.parts[-1].described = True
            self.parts[-1].name = options.get(b"name", b"").decode("utf-8", "replace")
            self.parts[-1].is_file = b"filename" in options
        self._header = self._value = b""

    def on_end(self) -> None:
        self.complete = True


class _TooManyPartsError(Exception):
    """A form has more parts than are allowed."""


def describe_body() -> dict[str, Any]:
    """Return OpenAPI's description of the request body of ``/predict``."""
    binary = {"schema": {"type": "string", "contentMediaType": IMAGE_TYPES[0]}}
    form = {
        "type": "object",
        "minProperties": 1,
        "additionalProperties": False,
        "properties": {
            ONE_FIELD: binary["schema"],
            MANY_FIELD: {"type": "array", "minItems": 1, "items": binary["schema"]},
        },
    }
    shapes = [model.model_json_schema() for model in json_body.BODIES.values()]
    content = {
        JSON: {"schema": {"oneOf": shapes}},
        FORM: {"schema": form},
        **dict.fromkeys(IMAGE_TYPES, binary),
    }
    return {"requestBody": {"required": True, "content": content}}
