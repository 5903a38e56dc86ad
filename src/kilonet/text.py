"""Text that others wrote, such as the names of files and classes, made safe for where it goes."""

from __future__ import annotations

import json
import re
from typing import Any

# Control characters, which include escape sequences; characters that change the direction of
# text; and the surrogates that stand for the bytes of a file name that is not UTF-8.
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_MARKDOWN = re.compile(r"([\\`*_\[\]<>|&])")


def printable(text: str) -> str:
    """Return ``text`` for a terminal or a page: "�" replaces what could control it."""
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def printable_json(text: str) -> str:
    """Return JSON of the same content for a terminal or a file: such characters are escaped."""
    return _UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def csv_cell(value: Any) -> Any:
    """Return the cell of a CSV file: a spreadsheet takes no text for a formula."""
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if text.startswith(_FORMULA) and not _is_number(text) else text


def markdown(text: str) -> str:
    """Return ``text`` as Markdown that shows it on one line."""
    return _MARKDOWN.sub(r"\\\1", " ".join(printable(text).split()))


def yaml(text: str) -> str:
    """Return ``text`` as a quoted scalar in YAML."""
    return json.dumps(printable(text), ensure_ascii=False)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
