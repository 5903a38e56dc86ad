"""How figures are written in the tables."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from reproduction.results import Sample
from reproduction.verdicts import NOT_MEASURED

NONE = "–"


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], texts: Sequence[int] = ()) -> str:
    """Return a pipe table; the columns whose places are in ``texts`` are set to the left."""
    rules = [":---" if place in texts else "---:" for place in range(len(headings))]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [headings, rules, *rows])


def percent(value: Fraction | float | None, digits: int = 2) -> str:
    """Write a percentage without its sign."""
    return NONE if value is None else f"{float(value):.{digits}f}"


def spread(sample: Sample | None) -> str:
    """Write a mean with its sample standard deviation, to a digit more than one seed has."""
    if sample is None:
        return NONE
    if sample.deviation is None:
        return percent(sample.mean)
    return f"{percent(sample.mean, 3)} ± {percent(sample.deviation, 3)}"


def between(interval: tuple[float, float] | None) -> str:
    """Write the two ends of an interval in percent."""
    return NONE if interval is None else f"{percent(interval[0])}–{percent(interval[1])}"


def span(values: Sequence[int]) -> str:
    """Write whole numbers as ``5`` or, if they differ, ``4–6``."""
    low, high = min(values), max(values)
    return str(low) if low == high else f"{low}–{high}"


def plural(number: int, noun: str) -> str:
    """Write ``1 seed`` or ``3 seeds``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


__all__ = ["NONE", "NOT_MEASURED", "between", "percent", "plural", "span", "spread", "table"]
