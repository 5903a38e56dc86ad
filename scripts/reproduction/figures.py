"""A figure as a page states it, and what may count as reaching it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

_NUMBER = r"\d[\d,]*(?:\.\d+)?"
_FIGURE = re.compile(rf"([~<>≤≥]?)({_NUMBER})(?:–({_NUMBER}))?(K?)")
_WORDS = {"~": "about ", "<": "under ", ">": "over ", "≤": "at most ", "≥": "at least ", "": ""}


@dataclass(frozen=True)
class Figure:
    """A number or a range, its relation sign, and the worth of its last written digit."""

    relation: str
    low: Fraction
    high: Fraction
    step: Fraction
    number: str

    def __str__(self) -> str:
        return _WORDS[self.relation] + self.number

    @property
    def least(self) -> Fraction:
        """What a value must reach: a bound as it stands, else what still rounds to the figure."""
        return self.low if self.relation in (">", "≥") else self.low - self.step / 2

    def reached_by(self, value: Fraction) -> bool:
        """Say whether ``value``, where more is better, is as high as the figure."""
        return value > self.least if self.relation == ">" else value >= self.least

    def kept_by(self, value: int) -> bool:
        """Say whether ``value``, where less is better, is as low as the figure."""
        if self.relation == "<":
            return value < self.high
        return value <= self.high if self.relation == "≤" else value < self.high + self.step / 2


def parse_figure(text: str) -> Figure:
    """Return the figure that ``text`` states, such as ``≥99.4``, ``~94–95``, ``18,060``, ``~25K``.

    Raises ValueError when it states none.
    """
    match = _FIGURE.fullmatch(text)
    if match is None:
        raise ValueError(f'"{text}" is not a figure such as "≥99.4", "~94–95" or "18,060"')
    relation, low, high, unit = match.groups()
    factor = 1000 if unit else 1
    decimals = len(low.partition(".")[2])
    return Figure(
        relation=relation,
        low=_value(low) * factor,
        high=_value(high or low) * factor,
        step=Fraction(factor, 10**decimals),
        number=text.removeprefix(relation),
    )


def _value(digits: str) -> Fraction:
    return Fraction(digits.replace(",", ""))
