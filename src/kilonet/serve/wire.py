"""What goes between the service and its workers: frames of pictures, frames of what was read.

A frame is its length in four bytes and its content. Nothing in it can run code on arrival: a worker
decodes what strangers send, so that it is not trusted either.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from pydantic_core import from_json, to_json

LENGTH = struct.Struct("<I")
_HEAD = struct.Struct("<BI")
_FILE, _PIXELS = 0, 1
KINDS: dict[int, Literal["file", "pixels"]] = {_FILE: "file", _PIXELS: "pixels"}


@dataclass(frozen=True)
class Picture:
    """A picture to read: the bytes of a file, or 784 grey pixels, row by row."""

    kind: Literal["file", "pixels"]
    content: bytes


@dataclass(frozen=True)
class Refusal:
    """Why a picture was not read: the kind of its error, in one word, and the message."""

    kind: str
    message: str


Outcome: TypeAlias = "tuple[float, ...] | Refusal"
"""The probabilities, one a class, or why there are none."""


def pack_pictures(pictures: Sequence[Picture]) -> bytes:
    """Return the frame of some pictures."""
    parts = [b""]
    for picture in pictures:
        kind = _FILE if picture.kind == "file" else _PIXELS
        parts += [_HEAD.pack(kind, len(picture.content)), picture.content]
    parts[0] = LENGTH.pack(sum(map(len, parts)))
    return b"".join(parts)


def unpack_pictures(content: bytes) -> list[Picture]:
    """Return the pictures in the content of a frame."""
    found, start = [], 0
    while start < len(content):
        kind, length = _HEAD.unpack_from(content, start)
        start += _HEAD.size + length
        found.append(Picture(KINDS[kind], content[start - length : start]))
    return found


def pack_json(value: Any) -> bytes:
    """Return the frame of plain data."""
    content = to_json(value)
    return LENGTH.pack(len(content)) + content


def pack_outcomes(outcomes: Sequence[Outcome]) -> bytes:
    """Return the frame of what became of some pictures, in their order."""
    return pack_json(
        [
            {"kind": outcome.kind, "message": outcome.message}
            if isinstance(outcome, Refusal)
            else outcome
            for outcome in outcomes
        ]
    )


def unpack_outcomes(content: bytes) -> list[Outcome]:
    """Return what became of some pictures."""
    return [
        Refusal(str(entry["kind"]), str(entry["message"]))
        if isinstance(entry, dict)
        else tuple(entry)
        for entry in from_json(content)
    ]
