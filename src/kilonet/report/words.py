"""Figures as people write them."""

from __future__ import annotations


def percent(fraction: float, digits: int = 2) -> str:
    """Write a fraction of 1 as a percentage: ``99.43 %``.

    Less than all is never rounded up to 100 %, as one image in a million is still an error.
    """
    return f"{percent_number(fraction, digits)} %"


def percent_number(fraction: float, digits: int = 2) -> str:
    """Write a fraction of 1 as a percentage without its sign, as the ends of an interval are."""
    hundredths = 100 * fraction
    if fraction < 1:
        hundredths = min(hundredths, 100 - 10.0**-digits)
    return f"{hundredths:.{digits}f}"


def count(number: int | str) -> str:
    """Write a whole number with separators; what is text already stays."""
    return number if isinstance(number, str) else f"{number:,}"


def plural(number: int, noun: str) -> str:
    """Write ``1 epoch`` or ``4 epochs``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def duration(seconds: float) -> str:
    """Write a time to the second: ``27 s``, ``3 min 05 s``, ``1 h 02 min``."""
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
    """Join as a sentence does: ``a, b and c``."""
    return " and ".join(filter(None, [", ".join(items[:-1]), *items[-1:]]))
