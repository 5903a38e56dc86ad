"""What this project set out to reach, as the pages tell it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from reproduction.words import NOT_MEASURED, table

_HEADINGS = ("figure", "goal", "reached", "met")


@dataclass(frozen=True)
class Goal:
    """A figure, what was set out for, what was reached, and whether that is it (None: unknown)."""

    figure: str
    goal: str
    reached: str
    met: bool | None

    @property
    def verdict(self) -> str:
        """Whether it was reached."""
        return {True: "yes", False: "no", None: NOT_MEASURED}[self.met]


def goals_table(goals: Iterable[Goal]) -> str:
    """Return the table of ``goals`` in Markdown, a row each."""
    rows = [[goal.figure, goal.goal, goal.reached, goal.verdict] for goal in goals]
    return table(list(_HEADINGS), rows, texts=(0, 1, 2, 3))
