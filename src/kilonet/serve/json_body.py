"""Pictures in JSON: pixels as numbers, or files in base64."""

from __future__ import annotations

import binascii
import math
from typing import Annotated, Any, TypeAlias

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError
from pydantic_core import from_json

from kilonet.serve.parts import too_many
from kilonet.serve.problems import Problem
from kilonet.serve.wire import Picture, Refusal

SIDE = 28
SHOWN = 5  # errors, of all that a body has

Pixel: TypeAlias = Annotated[float, Field(ge=0, le=255, strict=True)]
Row: TypeAlias = Annotated[list[Pixel], Field(min_length=SIDE, max_length=SIDE, fail_fast=True)]
Image: TypeAlias = Annotated[list[Row], Field(min_length=SIDE, max_length=SIDE, fail_fast=True)]


def _depth(value: Any) -> str:
    """Say whether pixels are one image or several: a row's first entry is a number or a list."""
    for _ in range(2):
        value = value[0] if isinstance(value, list) and value else None
    return "several" if isinstance(value, list) else "one"


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Pixels(_Body):
    """Images of 28×28 grey pixels, 0 to 255, in either polarity: one, or a list of them."""

    pixels: Annotated[
        Annotated[Image, Tag("one")]
        | Annotated[list[Image], Field(min_length=1, fail_fast=True), Tag("several")],
        Discriminator(_depth),
    ]


class OnePicture(_Body):
    """A picture's file in base64; a data: URL is taken too."""

    picture: str


class Pictures(_Body):
    """Several pictures' files in base64."""

    pictures: Annotated[list[str], Field(min_length=1, fail_fast=True)]


BODIES: dict[str, type[_Body]] = {"pixels": Pixels, "picture": OnePicture, "pictures": Pictures}
_EXPECTED = (
    'Send {"pixels": [[…28 numbers…] × 28]} or a list of such images, {"picture": "BASE64"} or '
    '{"pictures": ["BASE64", …]}.'
)


def pictures_of(body: bytes, most: int) -> tuple[list[Picture | Refusal], bool]:
    """Return the pictures in ``body``, and whether there is one alone, not a list.

    Raises:
        Problem: it is not JSON (400), not one of ``BODIES`` (422), or has too many (413).
    """
    # A number takes a hundred times its text's bytes once it is read: count before reading.
    if body.count(b",") > most * SIDE * SIDE + SIDE:
        raise too_many(most)
    found = _checked(body)
    if isinstance(found, OnePicture):
        return [_decoded(found.picture)], True
    if isinstance(found, Pictures):
        texts = found.pictures
        return [_decoded(text) for text in _at_most(texts, most)], False
    assert isinstance(found, Pixels)
    if isinstance(found.pixels[0][0], list):
        return [_packed(image) for image in _at_most(found.pixels, most)], False
    return [_packed(found.pixels)], True


def _checked(body: bytes) -> _Body:
    try:
        value = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise Problem(400, f"The body is not JSON: {str(error)[:200]}. {_EXPECTED}") from None
    names = list(value) if isinstance(value, dict) else []
    model = BODIES.get(names[0]) if len(names) == 1 else None
    if model is None:
        raise Problem(422, f"The body is not one of those that are understood. {_EXPECTED}")
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise _invalid(error) from None


def _invalid(error: ValidationError) -> Problem:
    found = error.errors(include_url=False, include_context=False, include_input=False)[:SHOWN]
    errors = [{"at": _place(one["loc"]), "detail": one["msg"]} for one in found]
    detail = f"{errors[0]['at']}: {errors[0]['detail']}. {_EXPECTED}"
    return Problem(422, detail, errors=errors)


def _place(location: tuple[int | str, ...]) -> str:
    return ".".join(str(step) for step in location if step not in ("one", "several"))


def _at_most(items: list[Any], most: int) -> list[Any]:
    if len(items) > most:
        raise too_many(most)
    return items


def _packed(image: Any) -> Picture:
    return Picture("pixels", bytes(math.floor(value + 0.5) for row in image for value in row))


def _decoded(text: str) -> Picture | Refusal:
    encoded = text.partition(";base64,")[2] if text.startswith("data:") else text
    try:
        return Picture("file", binascii.a2b_base64(encoded.encode("ascii"), strict_mode=True))
    except (binascii.Error, UnicodeEncodeError):
        return Refusal("unreadable", "The picture is not base64 (RFC 4648, with its padding).")
