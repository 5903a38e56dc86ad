"""What was read in a picture, as Python, JSON and the command line give it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from string import digits


@dataclass(frozen=True)
class Reading:
    """One digit as read, or another thing: the likeliest class, the next, their probabilities."""

    digit: str
    confidence: float
    runner_up: str
    runner_up_confidence: float
    unsure: bool
    """Whether the confidence is below what was asked for."""

    @classmethod
    def of(
        cls, probabilities: Sequence[float], classes: Sequence[str], min_confidence: float
    ) -> Reading:
        """Return the reading that ``probabilities``, one a class, amount to."""
        order = sorted(range(len(probabilities)), key=probabilities.__getitem__, reverse=True)
        (first, second), best = order[:2], probabilities[order[0]]
        return cls(
            classes[first], best, classes[second], probabilities[second], best < min_confidence
        )

    def to_json(self) -> dict[str, str | float | bool]:
        """Return the fields by name; probabilities to a millionth."""
        return {
            "digit": self.digit,
            "confidence": round(self.confidence, 6),
            "runner_up": self.runner_up,
            "runner_up_confidence": round(self.runner_up_confidence, 6),
            "unsure": self.unsure,
        }


@dataclass(frozen=True)
class Table:
    """Readings as lines of text, in columns that are wide enough for the names of ``classes``."""

    classes: Sequence[str]

    def heading(self) -> str:
        """Return the line above all rows."""
        what = "digit" if set(self.classes) <= set(digits) else "class"
        return self._line(what, "confidence", "runner-up", "confidence", "picture")

    def row(self, reading: Reading, picture: str) -> str:
        """Return a reading's line; the picture's name comes last, however long it is."""
        first = _unsure(reading.digit) if reading.unsure else reading.digit
        sure, less = f"{reading.confidence:.2%}", f"{reading.runner_up_confidence:.2%}"
        return self._line(first, sure, reading.runner_up, less, picture)

    def _line(self, first: str, sure: str, second: str, less: str, picture: str) -> str:
        longest = max(self.classes, key=len)
        wide, narrow = len(_unsure(longest)), max(len(longest), len("runner-up"))
        return f"{first:<{wide}}  {sure:>10}  {second:>{narrow}}  {less:>10}  {picture}"


def _unsure(name: str) -> str:
    return f"unsure ({name})"
