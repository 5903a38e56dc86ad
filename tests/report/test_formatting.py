"""Figures in formatting."""

from __future__ import annotations

import pytest

from kilonet.report import formatting


@pytest.mark.parametrize(
    ("fraction", "said"),
    [
        (0.9943, "99.43 %"),
        (1.0, "100.00 %"),
        (0.999999, "99.99 %"),
        (0.99996, "99.99 %"),
        (0.0, "0.00 %"),
        (0.5, "50.00 %"),
    ],
)
def test_percent_never_rounds_an_error_away(fraction: float, said: str) -> None:
    assert formatting.percent(fraction) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (27.2, "27 s"),
        (59.7, "1 min 00 s"),
        (185, "3 min 05 s"),
        (3599.8, "1 h 00 min"),
        (7265, "2 h 01 min"),
        (90_000, "25 h 00 min"),
    ],
)
def test_duration(seconds: float, said: str) -> None:
    assert formatting.duration(seconds) == said


@pytest.mark.parametrize(
    ("number", "said"),
    [(1, "1 byte"), (1023, "1,023 bytes"), (14_720, "14.4 KiB"), (3 * 1024**2, "3.0 MiB")],
)
def test_size(number: int, said: str) -> None:
    assert formatting.size(number) == said


def test_the_rest() -> None:
    assert [formatting.plural(n, "epoch") for n in (0, 1, 2000)] == [
        "0 epochs",
        "1 epoch",
        "2,000 epochs",
    ]
    assert [formatting.count(n) for n in (22_214, "—")] == ["22,214", "—"]
    lists = [[], ["a"], ["a", "b"], ["a", "b", "c"]]
    assert [formatting.enumeration(items) for items in lists] == ["", "a", "a and b", "a, b and c"]
