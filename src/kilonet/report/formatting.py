"""Numbers and tables as text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    """A table column: its heading, and whether it holds numbers, which are aligned right."""

    heading: str
    figures: bool = True


@dataclass(frozen=True)
class Table:
    """Rows of text under headings. ``marked`` is the index of a highlighted row, if any."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
    marked: int | None = None


def percent(fraction: float, digits: int = 2) -> str:
    """Write a fraction of 1 as a percentage: ``99.43 %``.

    A fraction below 1 is never rounded up to 100 %.
    """
    return f"{percent_number(fraction, digits)} %"


def percent_number(fraction: float, digits: int = 2) -> str:
    """Write a fraction of 1 as a percentage without the sign, for the ends of an interval."""
    hundredths = 100 * fraction
    if fraction < 1:
        hundredths = min(hundredths, 100 - 10.0**-digits)
    return f"{hundredths:.{digits}f}"


def count(number: int | str) -> str:
    """Write a whole number with separators; text stays as it is."""
    return number if isinstance(number, str) else f"{number:,}"


def plural(number: int, noun: str) -> str:
    """Write ``1 epoch`` or ``4 epochs``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def signed(number: float, digits: int = 2) -> str:
    """Write a difference with its sign: ``+0.12``, ``−0.02``, ``0.00``."""
    text = f"{number:+.{digits}f}"
    return text[1:] if float(text) == 0 else text.replace("-", "−")


def p_value(value: float) -> str:
    """Write a p value with one or two digits: ``0.03``, ``0.40``, ``0.0004``."""
    return "1" if value > 0.995 else f"{value:.1g}" if value < 0.1 else f"{value:.2f}"


def duration(seconds: float) -> str:
    """Write a time in seconds: ``27 s``, ``3 min 05 s``, ``1 h 02 min``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min"


def size(number: int) -> str:
    """Write a number of bytes: ``800 bytes``, ``45.2 KiB``, ``1.3 MiB``."""
    if number < 1024:
        return plural(number, "byte")
    if number < 1024**2:
        return f"{number / 1024:.1f} KiB"
    return f"{number / 1024**2:.1f} MiB"


def enumeration(items: list[str]) -> str:
    """Join ``items`` as in a sentence: ``a, b and c``."""
    return " and ".join(filter(None, [", ".join(items[:-1]), *items[-1:]]))
