"""What was read in a picture, as Python, JSON and the command line give it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

COLUMNS = ("digit", "confidence", "runner-up", "confidence", "picture")
WIDTHS = (10, 10, 9, 10)


@dataclass(frozen=True)
class Reading:
    """One digit as read: the likeliest class, the one after it, and their probabilities."""

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

    def row(self, picture: str) -> str:
        """Return a line of the table; the picture's name comes last, however long it is."""
        digit = f"unsure ({self.digit})" if self.unsure else self.digit
        cells = (digit, _percent(self.confidence), self.runner_up)
        return _line((*cells, _percent(self.runner_up_confidence), picture))


def heading() -> str:
    """Return the line above all rows."""
    return _line(COLUMNS)


def _percent(share: float) -> str:
    return f"{share:.2%}"


def _line(cells: tuple[str, ...]) -> str:
    digit, *figures, picture = cells
    aligned = [f"{cell:>{width}}" for cell, width in zip(figures, WIDTHS[1:], strict=True)]
    return "  ".join([f"{digit:<{WIDTHS[0]}}", *aligned, picture])
