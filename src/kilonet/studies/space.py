"""From ``--search KEY=log(LOW,HIGH)`` words to what a search may try."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from kilonet.errors import UsageError
from kilonet.studies.grid import split_values

_FORM = re.compile(r"(log|uniform|int)\(([^,]+),([^,]+)\)")
_EXAMPLE = "optimizer.lr=log(1e-4,1)"


@dataclass(frozen=True)
class Dimension:
    """A key and where its value may lie: between ``low`` and ``high``, or one of ``choices``."""

    key: str
    kind: str
    """``log``, ``uniform``, ``int`` or ``choice``."""
    low: float = 0.0
    high: float = 0.0
    choices: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the same as plain values, as JSON has them."""
        return {**asdict(self), "choices": [*self.choices]}


def parse_space(words: Sequence[str]) -> list[Dimension]:
    """Return a dimension for each ``KEY=log(A,B)``, ``uniform(A,B)``, ``int(A,B)`` or ``A,B,...``.

    Raises:
        UsageError: a word is no such thing, or a key comes twice.
    """
    found = [_parse(word) for word in words]
    keys = [dimension.key for dimension in found]
    for key in keys:
        if keys.count(key) > 1:
            raise UsageError(f"{key} is searched twice. Give it one range.")
    return found


def _parse(word: str) -> Dimension:
    key, equals, text = (part.strip() for part in word.partition("="))
    if not equals or not key or not text:
        raise UsageError(f'"{word}" is no range to search; write for example {_EXAMPLE}.')
    if key == "training.seed":
        raise UsageError("A search may not choose the seed: the best of many seeds is only luck.")
    if form := _FORM.fullmatch(text.replace(" ", "")):
        return _range(word, key, *form.groups())
    choices = tuple(value.strip() for value in split_values(text))
    if len(choices) < 2 or "" in choices:
        raise UsageError(
            f'"{word}" is no range to search; write for example {_EXAMPLE}, '
            "training.batch_size=int(32,512) or optimizer.name=adam,sgd."
        )
    return Dimension(key, "choice", choices=choices)


def _range(word: str, key: str, kind: str, low: str, high: str) -> Dimension:
    try:
        ends = (int(low), int(high)) if kind == "int" else (float(low), float(high))
    except ValueError:
        what = "whole numbers" if kind == "int" else "numbers"
        raise UsageError(f'"{word}": {kind}(...) takes two {what}.') from None
    if not ends[0] < ends[1] or (kind == "log" and ends[0] <= 0) or abs(ends[1]) == float("inf"):
        above = " above 0" if kind == "log" else ""
        raise UsageError(f'"{word}": the range must rise from a number{above} to a greater one.')
    return Dimension(key, kind, *ends)
