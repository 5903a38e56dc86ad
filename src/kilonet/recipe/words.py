"""The words that a chain of layers is written in, such as ``"c16 M d24 r r"``.

============  ==================================================================
cN, cNkKsSv   3×3 convolution to N channels; K×K, stride S, v: unpadded
dN, dNkKsSv   the same, depthwise-separable
dNl, rl, …    with nothing between the depthwise and the pointwise convolution of d or r
…t            c, d, r: one of every four filters is stored; the others are it, turned (last letter)
…g            the same, and channels by fours throughout: turning the image turns what comes out
c*, d*, p*    to as many channels as there are classes
pN            1×1 convolution to N channels
r, rkK        residual depthwise-separable 3×3 (K×K, K odd), as many channels
R, RkK        residual 3×3 convolution (K×K, K odd), as many channels
s             the last residual block again, with its weights but its own batch norms
M, M3         max pooling by 2, by 3
A, A3         average pooling by 2, by 3
============  ==================================================================
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal

Kind = Literal[
    "conv", "separable", "point", "residual-separable", "residual", "shared", "max", "average"
]

_KINDS: dict[str, Kind] = {
    "c": "conv",
    "d": "separable",
    "p": "point",
    "r": "residual-separable",
    "R": "residual",
    "s": "shared",
    "M": "max",
    "A": "average",
}
# Up to five digits of channels: more would only fail later, for want of memory.
_CHANNELS = r"(?:[1-9]\d{0,4}|\*)"
_CONV = rf"{_CHANNELS}(?:k[1-9]\d?)?(?:s[1-9]\d?)?v?"
_ODD = r"(?:k(?:[13579]|[1-9][13579]))?"
_WORD = re.compile(
    rf"(?:c{_CONV}[tg]?|d{_CONV}l?[tg]?|p{_CHANNELS}|R{_ODD}|r{_ODD}l?[tg]?|s|[MA][2-9]?)\Z",
    re.ASCII,
)
TURNS = 4
"""How many quarter turns a full one has."""
CLASSES = -1
"""The channels of a word that says ``*``."""
_NUMBER = re.compile(r"([cdpks])(\d+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Word:
    """One layer or pooling. ``channels`` is 0 where as many come out as go in.

    ``kernel`` is a pooling's side too; ``stride`` is that of convolutions. A ``linear`` separable
    one has no batch norm and nonlinearity between its halves (Chollet 2017). ``turned`` filters
    come in fours; ``fours`` says that they are taken for such, and ``cyclic`` that what they are
    applied to are fours too: all but an image's channels.
    """

    kind: Kind
    channels: int = 0
    kernel: int = 3
    stride: int = 1
    padded: bool = True
    linear: bool = False
    turned: bool = False
    fours: bool = False
    cyclic: bool = False

    def for_classes(self, number: int) -> Word:
        """Return the word with ``number`` channels in the place of ``*``."""
        return replace(self, channels=number) if self.channels == CLASSES else self

    @property
    def pools(self) -> bool:
        """Whether it is a pooling."""
        return self.kind in ("max", "average")

    @property
    def is_residual(self) -> bool:
        """Whether it is a residual block, whose output is of its input's shape."""
        return self.kind in ("residual", "residual-separable", "shared")

    @property
    def is_convolution(self) -> bool:
        """Whether it is a convolution that stands by itself."""
        return self.kind in ("conv", "separable", "point")


def parse_word(text: str) -> Word:
    """Return what ``text`` says.

    Raises:
        ValueError: it is no such word; the message says what would be.
    """
    if not _WORD.match(text):
        raise ValueError(
            f'"{text}" is not a layer; write words such as c16 (3×3 convolution), c20k5s2, '
            "p12 (1×1), d24 (depthwise-separable), r (residual), s (r's weights again), d24lg "
            "(l: linear between its halves, t or g: turned filters), d* (as many as classes), "
            "M (max pool), A3 (average pool)"
        )
    kind = _KINDS[text[0]]
    if kind in ("max", "average"):
        return Word(kind, kernel=int(text[1:] or 2))
    numbers = {letter: int(digits) for letter, digits in _NUMBER.findall(text)}
    return Word(
        kind,
        channels=CLASSES if "*" in text else numbers.get(text[0], 0),
        kernel=1 if kind == "point" else numbers.get("k", 3),
        stride=numbers.get("s", 1),
        padded="v" not in text,
        linear="l" in text,
        turned=text.endswith(("t", "g")),
        fours=text.endswith("g"),
    )


def parse_words(text: str) -> list[Word]:
    """Return the words of a chain, which are separated by blanks.

    Raises:
        ValueError: there are none, or one is no such word, or has no block to share weights with.
    """
    words: list[Word] = []
    channels = 0  # those of the images, which are not known here
    ready = None  # the channels of the last block whose weights can be shared
    for each in text.split() or [""]:
        word = parse_word(each)
        if word.kind == "shared" and ready != channels:
            raise ValueError(
                '"s" is the last residual block again, and there is none before it of as many '
                "channels; write r first"
            )
        out = word.channels or channels
        if word.fours and (channels % TURNS or out % TURNS):
            raise ValueError(
                f'"{each}" takes channels by fours; {channels} come in and {_said(out)} go out. '
                "Choose multiples of 4, or t in the place of g"
            )
        words.append(replace(word, cyclic=word.fours and channels > 0))
        ready = out if word.is_residual else ready
        channels = out
    return words


def _said(channels: int) -> str:
    return "as many as classes" if channels == CLASSES else str(channels)
