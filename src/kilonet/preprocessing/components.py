"""Connected components of a mask, and which of them form a digit.

``connected_components`` labels a mask row by row: each run of pixels joins the runs that it touches
in the row above. ``group_digits`` then groups separate strokes into digits and drops specks.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]
Integers: TypeAlias = npt.NDArray[np.intp]
Mask: TypeAlias = npt.NDArray[np.bool_]

MIN_AREA = 0.04  # of the main component's pixels: a smaller component is a speck
MIN_SIDE = 0.08  # of the main component's longer side: likewise
MAX_COMPONENTS = 64  # the ones with the largest weight; the rest is dirt
BORDER_SHARE = 0.1  # of the picture's border: covering more suggests a shadow or the table
BORDER_WEIGHT = 0.25  # factor on the weight of such a component
BORDER_AREA = 0.25  # of the main component's area: a smaller one on the border is no part of it

SHADOW_DEPTH = 0.6  # of the picture: a shadow along one side reaches no farther,
SHADOW_CORNERS = 4  # and covers this many pixels more of the border than that side
SOLID_AREA, SOLID_WIDTH = 0.9, 0.35  # of its box, and of its longer side: a block, no stroke

MAX_GAP = 0.1  # of the main component's side: farther away, or larger on the border, likewise
MAX_ASPECT = 3.0  # width by height: a flatter group of components is no digit
MIN_REST = 9  # pixels: the least side of a digit beside such a group

MIN_OVERLAP = 0.3  # of the narrower width: strokes above each other
TALL = 0.5  # of the taller height: a component that may be a digit by itself
TALL_GAP = 0.1  # of the longer side: two tall components closer than this are one broken digit
STROKE_GAP = 0.35  # of the longer side: the largest distance of a short stroke from its digit
MIN_WEIGHT = 0.12  # of the main digit's weight: a digit by itself


@dataclass(frozen=True)
class Box:
    """A rectangle of a picture: columns x0 up to x1, rows y0 up to y1, both exclusive."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.x1 - self.x0

    @property
    def height(self) -> int:
        """Number of rows."""
        return self.y1 - self.y0

    @property
    def side(self) -> int:
        """The longer of width and height."""
        return max(self.width, self.height)


@dataclass(frozen=True)
class Component(Box):
    """A connected component: its bounding box, and its ``area`` in pixels.

    ``runs`` counts its horizontal runs of pixels, ``border`` its pixels on the picture's border.
    ``weight`` is the sum of the squared values of its pixels.
    """

    number: int
    area: int
    runs: int
    border: int
    weight: float


@dataclass(frozen=True)
class DigitRegion(Box):
    """The components that form one digit, and their bounding box."""

    components: tuple[Component, ...]
    weight: float


@dataclass(frozen=True, eq=False)
class Components:
    """All components of a mask, and the component that each run of pixels belongs to."""

    items: list[Component]
    shape: tuple[int, int]
    rows: Integers
    starts: Integers
    stops: Integers
    owner: Integers

    def mask(self, chosen: Iterable[Component]) -> Mask:
        """Return the mask, (H, W), of the pixels of some components."""
        numbers = np.zeros(len(self.items), dtype=np.bool_)
        numbers[[component.number for component in chosen]] = True
        wanted = numbers[self.owner]
        height, width = self.shape
        # The positions, in row-major order, where runs start and stop.
        changes = np.zeros(2 * int(wanted.sum()) + 2, dtype=np.intp)
        changes[1:-1:2] = self.rows[wanted] * width + self.starts[wanted]
        changes[2:-1:2] = self.rows[wanted] * width + self.stops[wanted]
        changes[-1] = height * width
        inside = np.arange(len(changes) - 1) % 2 == 1
        return np.repeat(inside, changes[1:] - changes[:-1]).reshape(height, width)


def connected_components(mask: Mask, values: Floats) -> Components:
    """Return the 8-connected components of ``mask``, (H, W), weighted by ``values``, (H, W)."""
    height, width = mask.shape
    padded = np.zeros((height, width + 2), dtype=np.bool_)
    padded[:, 1:-1] = mask
    changes = np.flatnonzero(padded[:, 1:] != padded[:, :-1])  # a start, its stop, a start, ...
    rows, starts = np.divmod(changes[::2], width + 1)
    stops = changes[1::2] - rows * (width + 1)
    owner = _label_runs(rows.tolist(), starts.tolist(), stops.tolist())
    items = _measure(rows, starts, stops, owner, np.square(values))
    return Components(items, (height, width), rows, starts, stops, owner)


def _label_runs(rows: list[int], starts: list[int], stops: list[int]) -> Integers:
    """Return the number of each run's component, from 0, by union-find."""
    parent = list(range(len(rows)))  # an earlier run of the same component; the first has itself
    above = 0
    for run, row in enumerate(rows):
        while above < run and (
            rows[above] < row - 1 or (rows[above] == row - 1 and stops[above] < starts[run])
        ):
            above += 1
        other, root = above, run
        while other < run and rows[other] == row - 1 and starts[other] <= stops[run]:
            other_root = other
            while parent[other_root] != other_root:
                parent[other_root] = other_root = parent[parent[other_root]]
            parent[max(root, other_root)] = root = min(root, other_root)
            other += 1
    for run, earlier in enumerate(parent):
        parent[run] = parent[earlier]
    roots = np.array(parent, dtype=np.intp)
    return (np.cumsum(roots == np.arange(len(rows))) - 1)[roots]


def _measure(
    rows: Integers, starts: Integers, stops: Integers, owner: Integers, squares: Floats
) -> list[Component]:
    if not owner.size:
        return []
    sums = np.zeros((squares.shape[0], squares.shape[1] + 1))
    np.cumsum(squares, axis=1, out=sums[:, 1:])
    weights = sums[rows, stops] - sums[rows, starts]
    order = np.argsort(owner, kind="stable")
    numbers = owner[order]
    begins = np.append(0, np.flatnonzero(numbers[1:] != numbers[:-1]) + 1)
    ends = np.append(begins[1:], len(owner))
    height, width = squares.shape
    borders = np.where(
        (rows == 0) | (rows == height - 1), stops - starts, (starts == 0) * 1 + (stops == width)
    )
    ordered = [column[order] for column in (stops - starts, borders, weights, starts, rows, stops)]
    area, border, weight = (np.add.reduceat(part, begins).tolist() for part in ordered[:3])
    x0, x1 = (f.reduceat(ordered[i], begins) for f, i in ((np.minimum, 3), (np.maximum, 5)))
    y0, y1 = ordered[4][begins], ordered[4][ends - 1] + 1
    boxes = zip(x0.tolist(), y0.tolist(), x1.tolist(), y1.tolist(), strict=True)
    runs = (ends - begins).tolist()
    counts = zip(area, runs, border, weight, strict=True)
    return [
        Component(*box, i, *count) for i, (count, box) in enumerate(zip(counts, boxes, strict=True))
    ]


# Digits


def group_digits(components: list[Component], shape: tuple[int, int]) -> list[DigitRegion]:
    """Return the digits, left to right, that the components of a picture of ``shape`` form.

    The component of the largest weight is ink; specks beside it are dropped. Components above each
    other or nearly touching are one digit, and so is a short stroke near a tall one, such as the
    bar of a 5. What remains and is too short or too faint for a digit is a smudge. The result is
    empty if there is nothing but flat groups, such as lines and words.
    """
    components = [item for item in components if not _is_shadow(item, shape)]
    if not components:
        return []
    main = max(components, key=lambda component: _main_score(component, shape))
    kept = [item for item in components if item is main or not _is_speck(item, main, shape)]
    kept.sort(key=lambda component: (-component.weight, component.number))
    digits = _merge([_one(component) for component in kept[:MAX_COMPONENTS]])
    main_digit = next(digit for digit in digits if main in digit.components)
    if main_digit.width > MAX_ASPECT * main_digit.height:
        rest = [item for item in components if item not in main_digit.components]
        return group_digits([item for item in rest if item.side >= MIN_REST], shape)
    found = [digit for digit in digits if digit is main_digit or _is_digit(digit, main_digit)]
    return sorted(found, key=lambda digit: digit.x0 + digit.x1)


def _main_score(component: Component, shape: tuple[int, int]) -> float:
    return component.weight * (BORDER_WEIGHT if _lies_on_border(component, shape) else 1)


def _is_shadow(component: Component, shape: tuple[int, int]) -> bool:
    """Return whether a component lies along one side with both corners, or is a block at a side."""
    height, width = shape
    box = component.width * component.height
    is_broad = min(component.width, component.height) > SOLID_WIDTH * component.side
    if component.border and is_broad and component.area > SOLID_AREA * box:
        return True
    flat = component.width == width and component.height <= SHADOW_DEPTH * height
    tall = component.height == height and component.width <= SHADOW_DEPTH * width
    return (flat or tall) and component.border >= (width if flat else height) + SHADOW_CORNERS


def _lies_on_border(component: Component, shape: tuple[int, int]) -> bool:
    return component.border >= BORDER_SHARE * 2 * (shape[0] + shape[1])


def _is_speck(component: Component, main: Component, shape: tuple[int, int]) -> bool:
    if component.area < MIN_AREA * main.area or component.side < MIN_SIDE * main.side:
        return True
    if not component.border or main.border:
        return False
    if _lies_on_border(component, shape):
        return True
    return component.area < BORDER_AREA * main.area and _gap(component, main) > MAX_GAP * main.side


def _gap(a: Box, b: Box) -> int:
    """Return the distance of two boxes, across or down, whichever is larger."""
    across, down = max(a.x0, b.x0) - min(a.x1, b.x1), max(a.y0, b.y0) - min(a.y1, b.y1)
    return max(across, down)


def _is_digit(digit: DigitRegion, main: DigitRegion) -> bool:
    return digit.height >= TALL * main.height and digit.weight >= MIN_WEIGHT * main.weight


def _one(component: Component) -> DigitRegion:
    box = (component.x0, component.y0, component.x1, component.y1)
    return DigitRegion(*box, (component,), component.weight)


def _merge(digits: list[DigitRegion]) -> list[DigitRegion]:
    """Join pairs that belong together until none is left."""
    pairs = ((a, b) for i, a in enumerate(digits) for b in digits[:i])
    found = next((pair for pair in pairs if _belong_together(*pair)), None)
    if found is None:
        return digits
    return _merge([digit for digit in digits if digit not in found] + [_join(*found)])


def _belong_together(a: DigitRegion, b: DigitRegion) -> bool:
    across, down = max(a.x0, b.x0) - min(a.x1, b.x1), max(a.y0, b.y0) - min(a.y1, b.y1)
    side = max(a.side, b.side)
    if -across >= MIN_OVERLAP * min(a.width, b.width):
        return down <= STROKE_GAP * side
    both_tall = min(a.height, b.height) >= TALL * max(a.height, b.height)
    return across <= (TALL_GAP if both_tall else STROKE_GAP) * side and down <= STROKE_GAP * side


def _join(a: DigitRegion, b: DigitRegion) -> DigitRegion:
    return DigitRegion(
        min(a.x0, b.x0),
        min(a.y0, b.y0),
        max(a.x1, b.x1),
        max(a.y1, b.y1),
        a.components + b.components,
        a.weight + b.weight,
    )
