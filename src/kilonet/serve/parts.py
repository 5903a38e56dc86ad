"""The files in a multipart/form-data body (RFC 7578), which is whole in memory and small."""

from __future__ import annotations

from dataclasses import dataclass, field

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from kilonet.serve.problems import Problem

MOST_OTHER = 16  # parts that are no pictures: a form's other fields
_EXPECTED = "Send multipart/form-data with a boundary, as curl -F picture=@FILE does."


@dataclass
class Part:
    """A part of a form: its field's name, and its bytes."""

    name: str = ""
    is_file: bool = False
    chunks: list[bytes] = field(default_factory=list)

    @property
    def content(self) -> bytes:
        """All bytes."""
        return b"".join(self.chunks)


class _Collector:
    """What the parser calls as it goes along."""

    def __init__(self, most: int) -> None:
        self.parts: list[Part] = []
        self.complete = False
        self._most = most
        self._header = self._value = b""

    def on_part_begin(self) -> None:
        if len(self.parts) == self._most:
            raise _TooManyError
        self.parts.append(Part())

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        self.parts[-1].chunks.append(data[start:end])

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def on_header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            options = parse_options_header(self._value)[1]
            self.parts[-1].name = options.get(b"name", b"").decode("utf-8", "replace")
            self.parts[-1].is_file = b"filename" in options
        self._header = self._value = b""

    def on_end(self) -> None:
        self.complete = True


class _TooManyError(Exception):
    """There are more parts than are allowed."""


def files(body: bytes, content_type: str, most: int) -> list[Part]:
    """Return the parts of ``body`` that are files, in their order.

    Raises:
        Problem: it is no such form (400), or has more than ``most`` files (413).
    """
    boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
    if not boundary:
        raise Problem(400, f"The form has no boundary. {_EXPECTED}")
    collector = _Collector(most + MOST_OTHER)
    names = ("part_begin", "part_data", "header_field", "header_value", "header_end", "end")
    callbacks = {f"on_{name}": getattr(collector, f"on_{name}") for name in names}
    try:
        parser = MultipartParser(boundary, callbacks)  # type: ignore[arg-type]  # a TypedDict
        parser.write(body)
    except FormParserError:
        raise Problem(400, f"The form is malformed. {_EXPECTED}") from None
    except _TooManyError:
        raise too_many(most) from None
    if not collector.complete:
        raise Problem(400, f"The form ends before its last boundary. {_EXPECTED}")
    found = [part for part in collector.parts if part.is_file]
    if len(found) > most:
        raise too_many(most)
    return found


def too_many(most: int) -> Problem:
    """Return what to answer to more than ``most`` pictures."""
    return Problem(
        413,
        f"There are more than {most} pictures. Send them in several requests, or start the "
        "service with a larger --max-batch.",
        reason="batch",
    )
