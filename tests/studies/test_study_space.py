"""What a search may try."""

from __future__ import annotations

import pytest

from kilonet.errors import UsageError
from kilonet.studies.space import Dimension, parse_space


def test_the_forms() -> None:
    words = ["optimizer.lr=log(1e-4, 1)", "a.b=uniform(0,0.5)", "a.c=int(1,9)", "a.d=x,[1,2],y"]
    assert parse_space(words) == [
        Dimension("optimizer.lr", "log", 1e-4, 1.0),
        Dimension("a.b", "uniform", 0.0, 0.5),
        Dimension("a.c", "int", 1, 9),
        Dimension("a.d", "choice", choices=("x", "[1,2]", "y")),
    ]


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("optimizer.lr", "is no range to search"),
        ("optimizer.lr=1", "is no range to search"),
        ("optimizer.lr=1,", "is no range to search"),
        ("optimizer.lr=log(0,1)", "must rise from a number above 0"),
        ("optimizer.lr=uniform(1,1)", "must rise"),
        ("optimizer.lr=uniform(nan,1)", "must rise"),
        ("optimizer.lr=uniform(0,inf)", "must rise"),
        ("optimizer.lr=int(1.5,3)", "takes two whole numbers"),
        ("training.seed=1,2", "may not choose the seed"),
    ],
)
def test_refused(word: str, text: str) -> None:
    with pytest.raises(UsageError, match=text):
        parse_space([word])


def test_a_key_searched_twice() -> None:
    with pytest.raises(UsageError, match="is searched twice"):
        parse_space(["a.b=1,2", "a.b=3,4"])
