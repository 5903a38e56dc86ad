"""Drawn digits in the format of MNIST, with shapes that its writers seldom used.

A 1 with a flag or a foot, a hooked 9, angular digits, an open 4, a 0 that is not closed: people
write these, and networks that know only MNIST misread them. Each digit is a random instance of one
of ``STYLES``: a few pen strokes, drawn in the way that MNIST normalised its digits.
"""

from __future__ import annotations

import math
from functools import cache
from typing import TypeAlias

import torch
from torch import Tensor

from kilonet.data.formats import IMAGE_SIDE

DIGITS = tuple("0123456789")
SHAPE = (1, IMAGE_SIDE, IMAGE_SIDE)

# A style in each line: its digit, then pen strokes, which "|" divides. A stroke is the polygon of
# its control points x,y, in percent of the digit's box. "a..b" is uniform between a and b; the same
# word is the same point in all strokes of a digit. A point that is written twice is a corner.
STYLES = """
0: 45..60,0 0,0 0,100 100,100 100,0 45..60,0
0: 70..90,10..25 50,0 0,0 0,100 100,100 100,0 40..55,-5..5
0: 30..50,0..5 0,0 0,100 100,100 100,0 60..80,0..15
0: 40..60,0 0,0 0,100 100,100 100,10..40 75..95,0..20
0: 15..35,5..20 0,30 0,100 100,100 100,0 45..60,0
0: 45..60,0 0,0 0,100 100,100 100,0 45..60,0 | 75..100,0..15 0..25,85..100
1: 50,0 45..55,50 50,100
1: 22..42,12..30 50,0 | 50,0 50,50 48..52,100
1: 0..22,16..40 50..56,0 | 50..56,0 50,50 46..54,100
1: 8..30,20..38 52..58,0 | 52..58,0 46..56,100
1: 0..24,32..72 50..54,0 | 50..54,0 50,50 46..54,100
1: 0..30,22..60 30..46,6..22 50..54,0 50..54,0 46..54,100
1: 0..26,16..52 26..42,2..18 50..56,0 | 50..56,0 46..54,100
1: 6..30,20..44 30..48,16..26 54..60,0 | 54..60,0 44..56,100
1: 4..28,24..44 28..42,8..16 52..58,0..2 | 52..58,0..2 46..56,100
1: 20..42,12..32 50,0 | 50,0 50,100 | 10..38,98..102 62..90,98..102
1: 0..24,18..44 50..54,0 | 50..54,0 50,100 | 6..38,98..102 62..94,98..102
1: 0..24,32..66 50..54,0 | 50..54,0 50,100 | 6..38,98..102 62..94,98..102
1: 8..36,14..38 40..52,-4..6 54..58,10..20 48..52,100 | 6..36,96..102 62..94,96..102
1: 48..54,0 50,100 | 10..38,98..102 60..90,98..102
2: 0..10,15..40 0..20,0 100,-5 100,40..50 0..15,100 0..15,100 50,94..100 90..100,95..103
2: 0..10,15..35 10,-5 100,-5 95,45 20,100 -10,100 0..10,70..80 45,85 90..100,92..104
2: 0..12,0..10 100,0 100,45..55 0,45..55 0,100 90..100,97..103
2: 0..10,0..8 90..100,0 90..100,0 0..10,100 0..10,100 90..100,98..102
3: 0..12,5..20 40,-8 98,-2 90,46 35..50,46..52 35..50,46..52 104,44 108,102 40,108 0..10,82..96
3: 0..12,0..5 85..100,0..3 85..100,0..3 40..58,36..46 40..58,36..46 104,38 106,102 40,108 0..10,82..96
3: 0..15,0 100,0 100,100 0..15,98..102 | 10..50,45..55 92..100,45..55
4: 5..30,0..5 0..20,50..62 0..20,50..62 88..100,48..62 | 62..85,0..25 60..85,100
4: 5..30,0..8 0..15,62 50,62 70..85,40..48 | 70..85,-4..8 64..85,100
4: 60..76,0 0..6,55..70 0..6,55..70 88..100,55..70 | 60..76,0 58..78,100
4: 50..66,0..5 0..6,52..66 0..6,52..66 70..84,52..66 | 64..78,0..20 60..80,100
5: 85..100,0..4 20..30,0..3 | 20..30,0..3 12..22,40..48 12..22,40..48 60,24 106,45 104,102 40,110 0..10,82..96
5: 85..100,0..4 0..20,0 0..15,45..55 100,42..52 100,100 0..10,96..102
5: 82..96,4..15 60,-6 2,0 8,46 60,48 108,52 98,106 40,106 0..8,82..96
6: 60..90,0..10 14,8..25 -4,104 100,106 100,48..60 40,38..50 4..16,65..76
6: 45..70,0..4 8..20,45 -4,104 102,106 98,45..55 20,45..56 2..10,68..80
6: 65..100,0 0,0 0,100 100,100 100,42..56 0..6,42..56
6: 4..26,0 0..4,50 0,100 100,100 96,42..60 0..6,44..60
7: 0..10,0..8 85..100,0..4 85..100,0..4 28..60,100
7: 0..10,0..8 85..100,0..4 85..100,0..4 28..60,100 | 18..40,46..56 72..95,42..54
7: 0..10,12..32 0..8,0..4 0..8,0..4 88..100,0 88..100,0 35..62,100
7: 0..10,10..26 0..8,0..4 100,0 88..96,30 35..62,100 | 25..42,46..56 75..96,42..54
7: 0..10,0..10 100,-4..4 92..100,8 50..64,45 30..60,100
8: 80..95,8..20 70,-6 0,-8 0,44 100,54 106,106 -6,106 0,56 100,42 86..100,-4..12
8: 80..95,4..18 60,-8 0,-6 2,44 100,54 106,106 -6,106 0,56 74..90,12..32
8: 50,0 0,0 0,46..50 100,46..50 100,0 50,0 | 50,46..50 -4,46..50 -4,102 104,102 104,46..50 50,46..50
8: 0..6,0..4 96..100,0 98..102,100 0..4,98..102 0..6,0..4 | 0..4,44..54 96..100,44..54
9: 86..100,8..22 60,-8 0,-6 0,50..58 62,50..60 86..100,8..22 | 86..100,8..22 70..96,100
9: 86..100,8..22 60,-8 0,-6 0,46..58 62,46..60 86..100,8..22 | 86..100,8..22 98,60 92,108 40,108 0..22,78..96
9: 70..92,18..34 84,-6 0,-10 0,48 84,52 92..100,4..22 98,60 86,106 40,110 0..24,80..98
9: 86..100,2..12 60,-6 0,0 2,40..52 50,44..54 86..100,2..12 92..100,56 70..90,104 20..50,104 0..14,76..90
9: 84..100,10..24 50,-8 0,-2 8,50 50,60 84..100,10..24 96,66 76,108 30,106 4..16,84..98 10..20,70..80
9: 94..100,42..56 0..6,42..56 0,0 100,0 96..102,100 0..45,97..102
9: 90..100,42..54 0..8,42..54 0..6,0..4 90..100,0..4 86..100,100
"""  # noqa: E501

_BOX = 20  # pixels: the longer side of MNIST's digits
_SUBDIVISIONS = 4
_POINTS = 64  # of a stroke: at most a pixel apart
_CHUNK = 128  # images that are drawn at once
Strokes: TypeAlias = list[list[str]]


def handwritten_digits(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return ``count`` images, uint8 (N, 1, 28, 28), bright ink on 0, and labels, int64 (N,).

    All styles are equally frequent. So are digits, but for 1, which has more styles.
    """
    images, labels = [], []
    for number, (digit, strokes) in enumerate(styles := _styles()):
        size = (count + number) // len(styles)
        for first in range(0, size, _CHUNK):
            images.append(_drawn(strokes, min(_CHUNK, size - first), generator))
        labels.append(torch.full((size,), digit))
    return torch.cat(images).unsqueeze(1), torch.cat(labels)


@cache
def _styles() -> list[tuple[int, Strokes]]:
    """Return the digit and the strokes of every style."""
    lines = [line.partition(": ") for line in STYLES.strip().splitlines()]
    return [(int(digit), [part.split() for part in text.split("|")]) for digit, _, text in lines]


def _drawn(strokes: Strokes, count: int, generator: torch.Generator) -> Tensor:
    """Return ``count`` images of a style: uint8, (N, 28, 28)."""
    points = {
        word: _point(word, count, generator)
        for word in dict.fromkeys(word for stroke in strokes for word in stroke)
    }
    # Corners are cut a little in angular digits, by a quarter in round ones.
    random = torch.rand(4, count, generator=generator)
    cut = torch.where(random[0] < 0.3, 0.08 * random[1], 0.15 + 0.12 * random[1])
    curves = [_curve([points[word] for word in stroke], cut) for stroke in strokes]
    curve = _transformed(torch.cat(curves, dim=1), generator)
    width = 1.7 + 2.6 * random[2] ** 1.5
    return _inked(curve, width)


def _point(word: str, count: int, generator: torch.Generator) -> Tensor:
    """Return a control point of each image: (N, 2), in shares of the box."""
    shaken = 3.0 * torch.randn(2, count, generator=generator)
    for axis, text in enumerate(word.split(",")):
        low, _, high = text.partition("..")
        spread = float(high or low) - float(low)
        shaken[axis] += float(low) + spread * torch.rand(count, generator=generator)
    return shaken.T / 100


def _curve(polygon: list[Tensor], cut: Tensor) -> Tensor:
    """Return evenly spaced points, (N, P, 2), on the curve of control points, (N, 2) each.

    Corners are cut by the share ``cut``, (N,), again and again (Chaikin 1974): at a quarter this is
    a quadratic B-spline.
    """
    points, share = torch.stack(polygon, dim=1), cut.view(-1, 1, 1)
    for _ in range(_SUBDIVISIONS):
        first, second = points[:, :-1], points[:, 1:]
        pairs = torch.stack([first.lerp(second, share), second.lerp(first, share)], dim=2)
        points = torch.cat([points[:, :1], pairs.flatten(1, 2)[:, 1:-1], points[:, -1:]], dim=1)
    lengths = (points[:, 1:] - points[:, :-1]).norm(dim=2).clamp(min=1e-6)
    ends = lengths.cumsum(dim=1)
    places = ends[:, -1:] * torch.linspace(0, 1, _POINTS)
    index = torch.searchsorted(ends, places.contiguous()).clamp(max=lengths.shape[1] - 1)
    share = 1 - (ends.gather(1, index) - places) / lengths.gather(1, index)
    index = index.unsqueeze(2).expand(-1, -1, 2)
    return points.gather(1, index).lerp(points.gather(1, index + 1), share.unsqueeze(2))


def _transformed(curve: Tensor, generator: torch.Generator) -> Tensor:
    """Return the points, (N, P, 2), with another aspect, slant and angle, and bent smoothly."""
    count = len(curve)
    normal = torch.randn(8, count, generator=generator)
    uniform = torch.rand(2, count, 1, generator=generator)
    aspect = 0.45 + 0.6 * uniform[0]
    x, y = curve[..., 0] - 0.5, curve[..., 1] - 0.5
    bend = 0.03 * normal[:4].unsqueeze(2)
    phase = 2 * math.pi * uniform[1]
    x, y = (
        x + bend[0] * torch.sin(4 * y + phase) + bend[1] * torch.sin(7 * y - phase),
        y + bend[2] * torch.sin(4 * x + phase) + bend[3] * torch.sin(7 * x - phase),
    )
    x = x * aspect - (0.1 + 0.16 * normal[4].unsqueeze(1)) * y
    angle = 0.1 * normal[5].unsqueeze(1)
    cos, sin = angle.cos(), angle.sin()
    return torch.stack([cos * x + sin * y, cos * y - sin * x], dim=2)


def _inked(curve: Tensor, width: Tensor) -> Tensor:
    """Return images, uint8 (N, 28, 28), of strokes ``width`` pixels wide, (N,).

    As in MNIST, the longer side is 20 pixels, and whole pixels move the centre of mass to the
    middle.
    """
    low, high = curve.amin(dim=1, keepdim=True), curve.amax(dim=1, keepdim=True)
    scale = (_BOX - width).view(-1, 1, 1) / (high - low).amax(dim=2, keepdim=True)
    curve = (curve - (low + high) / 2) * scale + _BOX / 2
    axis = torch.arange(_BOX) + 0.5
    pixels = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), dim=2).view(1, -1, 2)
    distance = torch.cdist(pixels, curve).amin(dim=2)
    ink = (0.5 + width.view(-1, 1) / 2 - distance).clamp(0, 1).view(-1, _BOX, _BOX)
    images = torch.zeros(len(ink), IMAGE_SIDE, IMAGE_SIDE, dtype=torch.uint8)
    rows, columns = (_places(ink.sum(dim=axis)) for axis in (2, 1))
    each = torch.arange(len(ink)).view(-1, 1, 1)
    images[each, rows.unsqueeze(2), columns.unsqueeze(1)] = (ink * 255).round().to(torch.uint8)
    return images


def _places(profile: Tensor) -> Tensor:
    """Return the rows or columns of the image, (N, 20), for those of the box with ``profile``."""
    axis = torch.arange(_BOX)
    centre = (profile * (axis + 0.5)).sum(dim=1) / profile.sum(dim=1)
    first = (IMAGE_SIDE / 2 - centre).ceil().clamp(0, IMAGE_SIDE - _BOX).long()
    return first.unsqueeze(1) + axis
