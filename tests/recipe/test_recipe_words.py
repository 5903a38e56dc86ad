"""The words of a chain: what each says, and what is no word."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilonet.recipe.words import CLASSES, Word, parse_word, parse_words


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("c16", Word("conv", 16)),
        ("c20k5s2", Word("conv", 20, kernel=5, stride=2)),
        ("c16k5s2v", Word("conv", 16, kernel=5, stride=2, padded=False)),
        ("d24", Word("separable", 24)),
        ("d24k5v", Word("separable", 24, kernel=5, padded=False)),
        ("p12", Word("point", 12, kernel=1)),
        ("r", Word("residual-separable")),
        ("rk5", Word("residual-separable", kernel=5)),
        ("R", Word("residual")),
        ("s", Word("shared")),
        ("d9s2vl", Word("separable", 9, stride=2, padded=False, linear=True)),
        ("rk5l", Word("residual-separable", kernel=5, linear=True)),
        ("c8t", Word("conv", 8, turned=True)),
        ("d16k5vlt", Word("separable", 16, kernel=5, padded=False, linear=True, turned=True)),
        ("rlg", Word("residual-separable", linear=True, turned=True, fours=True)),
        ("d*", Word("separable", CLASSES)),
        ("M", Word("max", kernel=2)),
        ("A3", Word("average", kernel=3)),
    ],
)
def test_what_a_word_says(text: str, word: Word) -> None:
    assert parse_word(text) == word


@pytest.mark.parametrize(
    "text",
    [
        "",
        "c",
        "c0",
        "c016",
        "c123456",
        "p12k3",
        "r16",
        "rk4",
        "Rk2",
        "sk3",
        "sl",
        "c8l",
        "Rl",
        "d8lv",
        "d8tl",
        "d8tg",
        "Rt",
        "st",
        "p8g",
        "r*",
        "c*8",
        "M1",
        "M10",
        "x3",
        "c8vv",
        "c८",
    ],
)
def test_what_is_no_word(text: str) -> None:
    message = f'"{re.escape(text)}" is not a layer; write words such as c16'
    with pytest.raises(ValueError, match=message):
        parse_word(text)


def test_words_are_separated_by_blanks() -> None:
    chain = parse_words(" c8  M\tr ")
    assert [word.kind for word in chain] == ["conv", "max", "residual-separable"]
    with pytest.raises(ValueError, match='"" is not a layer'):
        parse_words("  ")


@given(st.text(alphabet="cdprRMAksvltg*0123456789", max_size=8))
def test_a_word_is_of_one_kind_or_refused(text: str) -> None:
    try:
        word = parse_word(text)
    except ValueError:
        return
    assert word.is_convolution + word.is_residual + word.pools == 1
    assert word.kernel >= 1 and word.stride >= 1
    assert (word.channels != 0) == word.is_convolution
    assert word.turned or not word.fours


@pytest.mark.parametrize("chain", ["r s", "c8 r s M s s", "c8 r M d8 s R s", "c6 d8 R p8 s"])
def test_blocks_share_weights_with_one_of_as_many_channels(chain: str) -> None:
    parse_words(chain)


@pytest.mark.parametrize(
    "chain", ["s", "c8 s", "c8 M s r", "c8 r d9 s", "r c8 s", "c8 r d9 r d8 s"]
)
def test_without_such_a_block_they_are_refused(chain: str) -> None:
    with pytest.raises(ValueError, match=r'"s" is the last residual block again.*write r first'):
        parse_words(chain)


def test_channels_come_by_fours_after_the_first_word() -> None:
    first, second, _, last = parse_words("c8g d12g M rg")
    assert (first.cyclic, second.cyclic, last.cyclic) == (False, True, True)
    assert not parse_words("c8 d12t")[1].cyclic


@pytest.mark.parametrize(
    ("chain", "into", "out"),
    [
        ("c6g", 0, "6"),
        ("c6 d8g", 6, "8"),
        ("c8 d10g", 8, "10"),
        ("c8 d*g", 8, "as many as classes"),
    ],
)
def test_channels_that_are_no_fours_are_refused(chain: str, into: int, out: str) -> None:
    message = rf"takes channels by fours; {into} come in and {out} go out.*or t in the place of g"
    with pytest.raises(ValueError, match=message):
        parse_words(chain)


def test_as_many_channels_as_classes() -> None:
    (word,) = parse_words("d*l")
    assert word.for_classes(7) == Word("separable", 7, linear=True)
    assert Word("conv", 8).for_classes(7) == Word("conv", 8)
