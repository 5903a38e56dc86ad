"""The plan of an integer network: the order in which rows are computed, and where each lies.

Every operator computes its output row by row. Within a segment of the network, an operator runs as
soon as the rows that it needs exist, so a value between two operators is a ring of a few rows. Rows
that are not needed any more make room for others: the output of a residual block takes the rows of
its input, one row behind it, and the picture lies where later rows of the first map will be.

The order is fixed. So the plan knows, at each step, which rows of each value are needed, and from
that follow the sizes of the rings, the values that share a ring, and the places in the arena.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from kilonet.exports.c.plan import Arena, Lifetime, PlannedCall, arrange, planned_calls
from kilonet.exports.graph import operators as ops
from kilonet.exports.graph.operators import IMAGE, LOGITS, Operator, Shape
from kilonet.exports.graph.p4 import P4Filters, find_p4_filters
from kilonet.exports.int8.operators import QActivation, QConv2d, QLinear, QMean, QProduct, QSum

Span = tuple[int, int]
"""The first row and the row after the last."""

Bounds = npt.NDArray[np.int64]


def row_count(shape: Shape) -> int:
    """Return the number of rows of a map; a vector is one row."""
    return shape[1] if len(shape) == 3 else 1


def row_bytes(shape: Shape) -> int:
    """Return the bytes of one row."""
    return shape[0] * shape[2] if len(shape) == 3 else shape[0]


def needed_rows(step: PlannedCall, row: int, shapes: Sequence[Shape]) -> list[Span]:
    """Return, for each source of shape ``shapes``, the rows that output row ``row`` reads."""
    op, rows = step.op, [row_count(shape) for shape in shapes]
    if isinstance(op, QLinear | ops.Flatten):
        return [(0, rows[0])]
    if isinstance(op, QConv2d | QMean | ops.MaxPool):
        top = op.padding[0] if not isinstance(op, QMean) else 0
        first = row * step.pool[0] * op.stride[0] - top
        after = first + (step.pool[0] - 1) * op.stride[0] + op.kernel[0]
        return [(max(first, 0), min(max(after, 1), rows[0]))]
    return [(row, row + 1) if count > row else (0, count) for count in rows]


def _same_rows(before: Shape, after: Shape) -> bool:
    return (row_count(before), row_bytes(before)) == (row_count(after), row_bytes(after)) and (
        row_count(before) == 1 == row_bytes(before) // before[0]
    )


PART = 14
"""Windows of a row whose sums the C of a convolution computes at the same time."""


def _takes_in_pooling(op: Operator, pool: ops.MaxPool) -> bool:
    """Return whether a convolution can take the largest sum of a window instead of one sum.

    An activation need not keep the order of sums; the largest after it may be another one.
    """
    if (
        not isinstance(op, QConv2d)
        or pool.kernel[1] > PART
        or op.requantisation.activation != "none"
    ):
        return False
    return not is_p4_pointwise(op, shared_filters(op))


def shared_filters(op: QConv2d) -> P4Filters | None:
    """Return the p4 filters of an integer layer, or None if its orientations are not identical."""
    p4 = find_p4_filters(op.weights.weight, op.groups)
    return p4 if p4 is not None and p4.are_equal else None


def is_p4_pointwise(op: QConv2d, p4: P4Filters | None) -> bool:
    """Return whether an integer layer is a 1x1 convolution of orientation channels."""
    return p4 is not None and p4.regular and op.kernel == (1, 1) and not any(op.padding)


@dataclass(frozen=True)
class Place:
    """Where the rows of a value lie: row r is at offset + (first + r) mod ring · row."""

    offset: int
    row: int
    ring: int
    first: int


@dataclass(frozen=True)
class RowPlan:
    """The steps, the order of their rows, and the places of the values in the arena.

    ``order`` holds step numbers: each occurrence computes the next output row of that step.
    ``roots`` maps a view to the value behind it, ``shared`` a value to the one whose rows it lies
    in.
    """

    steps: tuple[PlannedCall, ...]
    shapes: Mapping[str, Shape]
    roots: Mapping[str, str]
    order: tuple[int, ...]
    places: Mapping[str, Place]
    arena_bytes: int
    shared: Mapping[str, str]

    def root(self, value: str) -> str:
        """Return the value that ``value`` is a view of."""
        return self.roots.get(value, value)

    def place(self, value: str) -> Place:
        """Return where the rows of a value lie; the logits, which are elsewhere, are at 0."""
        while value in self.shared:
            value = self.shared[value]
        return self.places.get(value, Place(0, 0, 1, 0))


def plan_rows(image: Shape, operators: Sequence[Operator]) -> RowPlan:
    """Return the plan with the smallest arena that a few attempts find.

    The first attempt ends a segment at each value that several operators read. Then each end is
    removed, and each other one added, if the arena gets smaller.

    Raises:
        UnsupportedOperatorError: a view would have to reorder values.
    """
    network = _Network(image, operators)
    count = len(network.steps)
    ends = {i for i in range(count - 1) if len(network.readers(network.steps[i].output)) > 1}
    best = network.plan(ends)
    for end in range(count - 1):
        attempt = network.plan(ends ^ {end})
        if attempt.arena_bytes < best.arena_bytes:
            best, ends = attempt, ends ^ {end}
    return best


class _Network:
    """The steps of a network and what does not depend on the order of their rows."""

    def __init__(self, image: Shape, operators: Sequence[Operator]) -> None:
        calls = planned_calls(image, operators, _same_rows, _takes_in_pooling)
        self.steps, self.shapes, self.roots = calls
        self.maker = {step.output: i for i, step in enumerate(self.steps)}

    def root(self, value: str) -> str:
        return self.roots.get(value, value)

    def sources(self, step: PlannedCall) -> list[str]:
        return [self.root(source) for source in step.op.sources]

    def readers(self, value: str) -> list[int]:
        return [i for i, step in enumerate(self.steps) if value in self.sources(step)]

    def reads(self, step: PlannedCall, row: int) -> Iterator[tuple[str, Span]]:
        """Yield each source with the rows that an output row needs."""
        sources = self.sources(step)
        shapes = [self.shapes[source] for source in sources]
        yield from zip(sources, needed_rows(step, row, shapes), strict=True)

    @cached_property
    def written_in_place(self) -> dict[str, str]:
        """Return the values that lie where the step after them, element by element, writes."""
        found: dict[str, str] = {}
        for i, step in enumerate(self.steps):
            sources = self.sources(step)
            if isinstance(step.op, QProduct):
                sources = sources[:1]
            if not isinstance(step.op, QSum | QActivation | QProduct) or step.output == LOGITS:
                continue
            alone = [
                source
                for source in sources
                if source in self.maker
                and self.readers(source) == [i]
                and row_bytes(self.shapes[source]) == row_bytes(step.shape)
            ]
            if alone:
                found[max(alone, key=self.maker.__getitem__)] = step.output
        return found

    def place_of(self, value: str) -> str:
        """Return the value in whose rows ``value`` lies."""
        while value in self.written_in_place:
            value = self.written_in_place[value]
        return value

    def order(self, ends: set[int]) -> list[int]:
        """Return the step numbers of all rows; ``ends`` are the last steps of segments."""
        done = [0] * len(self.steps)
        order: list[int] = []

        def produce(number: int, rows: int) -> None:
            while done[number] < rows:
                for source, (_, after) in self.reads(self.steps[number], done[number]):
                    if source in self.maker:
                        produce(self.maker[source], after)
                order.append(number)
                done[number] += 1

        first = 0
        for last in sorted({*ends, len(self.steps) - 1}):
            for number in range(last, first - 1, -1):
                if number == last or any(i > last for i in self.readers(self.steps[number].output)):
                    produce(number, row_count(self.steps[number].shape))
            first = last + 1
        return order

    def plan(self, ends: set[int]) -> RowPlan:
        order = self.order(ends)
        lives = self._lives(order)
        attempts = [_Memory(lives, last) for last in (False, True)]
        memory = min(attempts, key=lambda attempt: attempt.arena.size)
        places, size = memory.places(), memory.arena.size
        shared = self.written_in_place
        return RowPlan(self.steps, self.shapes, self.roots, tuple(order), places, size, shared)

    def _lives(self, order: Sequence[int]) -> dict[str, _Life]:
        """Return when each row of each value is needed."""
        begins: dict[str, list[int]] = {IMAGE: [0] * row_count(self.shapes[IMAGE])}
        finish = {IMAGE: [0] * row_count(self.shapes[IMAGE])}
        done = [0] * len(self.steps)
        for time, number in enumerate(order):
            step, row = self.steps[number], done[number]
            done[number] += 1
            for source, (first, after) in self.reads(step, row):
                place = self.place_of(source)
                finish[place][first:after] = [time] * (after - first)
            if step.output == LOGITS:
                continue
            place = self.place_of(step.output)
            if len(begins.setdefault(place, [])) == row:
                begins[place].append(time)
                finish.setdefault(place, []).append(time)
            finish[place][row] = time
        return {
            value: _Life(row_bytes(self.shapes[value]), begins[value], finish[value], len(order))
            for value in begins
        }


class _Life:
    """The rows of a value that are needed at each step: from ``low`` to before ``high``."""

    def __init__(self, row: int, begins: list[int], ends: list[int], steps: int) -> None:
        self.row = row
        times = np.arange(steps)[:, None]
        # Rows are written in order, but a later one may be needed for less long.
        needed = (np.array(begins) <= times) & (times <= np.array(ends))
        self.live = needed.any(1)
        self.low: Bounds = needed.argmax(1)
        self.high: Bounds = needed.shape[1] - needed[:, ::-1].argmax(1)
        self.rows = int((self.high - self.low)[self.live].max())


@dataclass
class _Member:
    """A value in a ring: ``lag`` is how many places its row 0 lies before that of the first."""

    value: str
    lag: int


class _Memory:
    """Rings, each of one value or of several that follow one another, and their places."""

    def __init__(self, lives: Mapping[str, _Life], last: bool) -> None:
        self.lives = lives
        self.rings: list[list[_Member]] = []
        self.sizes: list[int] = []
        for value in sorted(lives, key=lambda value: int(lives[value].live.argmax())):
            self._add(value)
        self.starts = [  # a caller writes the image from its first row on
            members[-1].lag if last and members[0].value != IMAGE else 0 for members in self.rings
        ]
        self.hulls = [self._hull(i) for i in range(len(self.rings))]
        self.arena = self._arranged()

    def _add(self, value: str) -> None:
        """Put ``value`` into the ring where it costs least, or into its own."""
        life = self.lives[value]
        best, choice = life.rows, -1
        for i in range(len(self.rings)):
            size, _ = self._joined(i, value)
            if size and size - self.sizes[i] < best:
                best, choice = size - self.sizes[i], i
        if choice < 0:
            self.rings.append([_Member(value, 0)])
            self.sizes.append(life.rows)
            return
        size, lag = self._joined(choice, value)
        self.rings[choice].append(_Member(value, lag))
        self.sizes[choice] = size

    def _joined(self, ring: int, value: str) -> tuple[int, int]:
        """Return the size of a ring with ``value``, and its lag; (0, 0) if it cannot join."""
        life, members = self.lives[value], self.rings[ring]
        before = self.lives[members[-1].value]
        both = life.live & before.live
        others = (self.lives[member.value].live & life.live for member in members[:-1])
        if before.row != life.row or not both.any() or any(other.any() for other in others):
            return 0, 0
        lag = int((life.high - before.low)[both].max())
        span = int((before.high - life.low)[both].max()) + lag
        return max(self.sizes[ring], span, life.rows), members[-1].lag + lag

    def _first(self, ring: int, member: _Member) -> int:
        return (self.starts[ring] - member.lag) % self.sizes[ring]

    def _hull(self, ring: int) -> tuple[npt.NDArray[np.bool_], Bounds, Bounds]:
        """Return when a ring is used, and from which byte to before which at each step."""
        size = self.sizes[ring]
        live = np.zeros_like(self.lives[self.rings[ring][0].value].live)
        low, high = np.full(len(live), size), np.zeros(len(live), np.int64)
        for member in self.rings[ring]:
            life = self.lives[member.value]
            begin = (self._first(ring, member) + life.low) % size
            end = begin + life.high - life.low
            begin, end = np.where(end > size, 0, begin), np.where(end > size, size, end)
            low = np.where(life.live, np.minimum(low, begin), low)
            high = np.where(life.live, np.maximum(high, end), high)
            live |= life.live
        row = self.lives[self.rings[ring][0].value].row
        return live, low * row, high * row

    def _arranged(self) -> Arena:
        lifetimes, distances = {}, {}
        for i, (live, _, high) in enumerate(self.hulls):
            times = np.flatnonzero(live)
            size = self.sizes[i] * self.lives[self.rings[i][0].value].row
            lifetimes[str(i)] = Lifetime(size, int(times[0]), int(times[-1]))
            for j, (other, begin, _) in enumerate(self.hulls):
                both = live & other
                if i != j and both.any():
                    distances[str(i), str(j)] = int((high - begin)[both].max())
                elif i != j:
                    distances[str(i), str(j)] = -(1 << 30)
        return arrange(lifetimes, distances)

    def places(self) -> dict[str, Place]:
        """Return the place of each value that has its own rows."""
        return {
            member.value: Place(
                self.arena.offsets[str(i)],
                self.lives[member.value].row,
                self.sizes[i],
                self._first(i, member),
            )
            for i, members in enumerate(self.rings)
            for member in members
        }
