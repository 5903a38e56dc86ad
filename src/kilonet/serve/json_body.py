"""Pictures in JSON: pixels as numbers, or files in base64."""

from __future__ import annotations

import binascii
import math
from typing import Annotated, Any, TypeAlias

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError
from pydantic_core import from_json

from kilonet.serve.messages import Refusal, RequestPicture
from kilonet.serve.problems import Problem, too_many_pictures

SIDE = 28
LINE_BREAKS = str.maketrans("", "", " \t\r\n")
MAX_ERRORS = 5  # errors in a response, of all that a body has

Pixel: TypeAlias = Annotated[float, Field(ge=0, le=255, strict=True)]
Row: TypeAlias = Annotated[list[Pixel], Field(min_length=SIDE, max_length=SIDE, fail_fast=True)]
Image: TypeAlias = Annotated[list[Row], Field(min_length=SIDE, max_length=SIDE, fail_fast=True)]


def _one_or_several(value: Any) -> str:
    """Return whether pixels are one image or several, by the depth of the lists."""
    for _ in range(2):
        value = value[0] if isinstance(value, list) and value else None
    return "several" if isinstance(value, list) else "one"


class _JsonBody(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Pixels(_JsonBody):
    """Images of 28×28 grey pixels, 0 to 255, dark on light or light on dark: one, or a list."""

    pixels: Annotated[
        Annotated[Image, Tag("one")]
        | Annotated[list[Image], Field(min_length=1, fail_fast=True), Tag("several")],
        Discriminator(_one_or_several),
    ]


class OnePicture(_JsonBody):
    """A picture's file in base64; a data: URL is accepted too."""

    picture: str


class Pictures(_JsonBody):
    """The files of several pictures in base64."""

    pictures: Annotated[list[str], Field(min_length=1, fail_fast=True)]


BODIES: dict[str, type[_JsonBody]] = {"pixels": Pixels, "picture": OnePicture, "pictures": Pictures}
FRACTIONS = "The pixels are at most 1; they must be 0 to 255. Multiply them by 255."
_EXPECTED = (
    'Send {"pixels": [[…28 numbers…] × 28]} or a list of such images, {"picture": "BASE64"} or '
    '{"pictures": ["BASE64", …]}.'
)


def parse_json(body: bytes, max_pictures: int) -> tuple[list[RequestPicture | Refusal], bool]:
    """Return the pictures in ``body``, and whether it has a single one instead of a list.

    Raises:
        Problem: it is not JSON (400), not one of ``BODIES`` (422), or has too many (413).
    """
    # A parsed number takes a hundred times the memory of its text: count before parsing.
    if body.count(b",") > max_pictures * SIDE * SIDE + SIDE:
        raise too_many_pictures(max_pictures)
    parsed = _validate(body)
    if isinstance(parsed, OnePicture):
        return [_decode_base64(parsed.picture)], True
    if isinstance(parsed, Pictures):
        texts = _check_count(parsed.pictures, max_pictures)
        return [_decode_base64(text) for text in texts], False
    assert isinstance(parsed, Pixels)
    if isinstance(parsed.pixels[0][0], list):
        images = _check_count(parsed.pixels, max_pictures)
        return [_round_pixels(image) for image in images], False
    return [_round_pixels(parsed.pixels)], True


def _validate(body: bytes) -> _JsonBody:
    try:
        value = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise Problem(400, f"The body is not JSON: {str(error)[:200]}. {_EXPECTED}") from None
    names = list(value) if isinstance(value, dict) else []
    model = BODIES.get(names[0]) if len(names) == 1 else None
    if model is None:
        raise Problem(422, f"The JSON has none of the expected forms. {_EXPECTED}")
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise _invalid(error) from None


def _invalid(error: ValidationError) -> Problem:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    errors = [{"at": _path(one["loc"]), "detail": one["msg"]} for one in found[:MAX_ERRORS]]
    detail = f"{errors[0]['at']}: {errors[0]['detail']}. {_EXPECTED}"
    return Problem(422, detail, errors=errors)


def _path(location: tuple[int | str, ...]) -> str:
    return ".".join(str(step) for step in location if step not in ("one", "several"))


def _check_count(items: list[Any], max_pictures: int) -> list[Any]:
    if len(items) > max_pictures:
        raise too_many_pictures(max_pictures)
    return items


def _round_pixels(image: Any) -> RequestPicture | Refusal:
    highest = max(value for row in image for value in row)
    if 0 < highest <= 1:
        return Refusal("unreadable", FRACTIONS)
    pixels = bytes(math.floor(value + 0.5) for row in image for value in row)
    return RequestPicture("pixels", pixels)


def _decode_base64(text: str) -> RequestPicture | Refusal:
    encoded = text.partition(";base64,")[2] if text.startswith("data:") else text
    encoded = encoded.translate(LINE_BREAKS)  # MIME (RFC 2045) wraps lines
    try:
        content = binascii.a2b_base64(encoded.encode("ascii"), strict_mode=True)
    except (binascii.Error, UnicodeEncodeError):
        return Refusal("unreadable", "The picture is not base64 (RFC 4648, with its padding).")
    return RequestPicture("file", content)
