"""Markdown tables, and how figures are written in them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from kilonet.errors import DataError

NONE = "–"


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[int] = ()) -> str:
    """Return a pipe table; the columns with the indices ``left`` are aligned to the left."""
    rules = [":---" if column in left else "---:" for column in range(len(headings))]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [headings, rules, *rows])


def percent(value: Fraction | float | None, digits: int = 2) -> str:
    """Format a percentage without its sign."""
    return NONE if value is None else f"{float(value):.{digits}f}"


def interval(bounds: tuple[float, float] | None) -> str:
    """Format both ends of an interval in percent."""
    return NONE if bounds is None else f"{percent(bounds[0])}–{percent(bounds[1])}"


def span(values: Sequence[int]) -> str:
    """Format whole numbers as ``5`` or, if they differ, as ``4–6``."""
    low, high = min(values), max(values)
    return str(low) if low == high else f"{low}–{high}"


def plural(number: int, noun: str) -> str:
    """Format ``1 seed`` or ``3 seeds``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def read_json(path: Path) -> Any:
    """Return the content of a results file.

    Raises:
        DataError: the file does not exist or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}. Restore or measure it again.") from None
