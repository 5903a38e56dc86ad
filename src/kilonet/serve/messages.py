"""The messages between the service and its workers: pictures one way, results the other.

A message is its length in four bytes (little-endian) and its content. Decoding one cannot run code:
workers decode pictures from strangers, so the service does not trust them either.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

from pydantic_core import from_json, to_json

from kilonet.inference.model import Classification

LENGTH = struct.Struct("<I")
_PICTURE_HEADER = struct.Struct("<BI")
_FILE, _PIXELS = 0, 1
KINDS: dict[int, Literal["file", "pixels"]] = {_FILE: "file", _PIXELS: "pixels"}


@dataclass(frozen=True)
class RequestPicture:
    """A picture of a request: the bytes of a file, or 784 grey pixels, row by row."""

    kind: Literal["file", "pixels"]
    content: bytes


@dataclass(frozen=True)
class Refusal:
    """Why there is no prediction for a picture: the kind of error in one word, and its message."""

    kind: str
    message: str


Result: TypeAlias = Classification | Refusal
"""What the network says of a picture, or why it says nothing."""


def pack_pictures(pictures: Sequence[RequestPicture]) -> bytes:
    """Return the message with some pictures."""
    parts = [b""]
    for picture in pictures:
        kind = _FILE if picture.kind == "file" else _PIXELS
        parts += [_PICTURE_HEADER.pack(kind, len(picture.content)), picture.content]
    parts[0] = LENGTH.pack(sum(map(len, parts)))
    return b"".join(parts)


def unpack_pictures(content: bytes) -> list[RequestPicture]:
    """Return the pictures in the content of a message."""
    pictures, start = [], 0
    while start < len(content):
        kind, length = _PICTURE_HEADER.unpack_from(content, start)
        start += _PICTURE_HEADER.size + length
        pictures.append(RequestPicture(KINDS[kind], content[start - length : start]))
    return pictures


def pack_json(value: Any) -> bytes:
    """Return the message with a JSON value."""
    content = to_json(value)
    return LENGTH.pack(len(content)) + content


def pack_results(results: Sequence[Result]) -> bytes:
    """Return the message with the results of some pictures, in their order."""
    return pack_json([asdict(result) for result in results])


def unpack_results(content: bytes) -> list[Result]:
    """Return the results in the content of a message."""
    return [
        Refusal(str(entry["kind"]), str(entry["message"]))
        if "kind" in entry
        else Classification(
            tuple(entry["probabilities"]), entry["digit_score"], tuple(entry["notes"])
        )
        for entry in from_json(content)
    ]
