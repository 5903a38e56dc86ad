"""Convolutions whose filters are one another turned: which they are, and what they are made of.

``models.blocks.TurnedConv2d`` stores one of every four filters. A graph has all of them, each times
a factor, as batch norm has been folded into it; what was stored is found again here, so that an
export can store it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kilonet.recipe.words import TURNS

TOLERANCE = 1e-5
"""How far filters may be from turned ones, relative to their largest weight: float32's rounding."""


@dataclass(frozen=True, eq=False)
class Turned:
    """Filters by fours: number 4o + r is ``base[o]``, r quarters on, times ``factors[4o + r]``.

    ``base`` is (O/4, I/groups, K, K), ``factors`` (O,). ``cyclic`` ones move on by one in each four
    of their inputs with every turn.
    """

    base: npt.NDArray[Any]
    factors: npt.NDArray[np.float64]
    cyclic: bool

    @property
    def plain(self) -> bool:
        """Whether the filters of a four differ by nothing but their turn."""
        return bool((self.factors == 1).all())


def find_turned(weight: npt.NDArray[Any], groups: int) -> Turned | None:
    """Return what the filters ``weight`` (O, I/groups, K, K) are made of, None if not by fours.

    Convolutions are taken that see all their inputs, or one each.
    """
    outputs, inputs, height, width = weight.shape
    if groups not in (1, outputs) or (groups > 1 and inputs > 1):
        return None
    if outputs % TURNS or height != width or weight[0].size < TURNS:
        return None
    ways = (True, False) if groups == 1 and inputs % TURNS == 0 else (False,)
    return next(filter(None, (_turned(weight, cyclic) for cyclic in ways)), None)


def _turned(weight: npt.NDArray[Any], cyclic: bool) -> Turned | None:
    back = turned_back(weight, cyclic=cyclic)
    rows = back.reshape(*back.shape[:2], -1).astype(np.float64)
    largest = np.square(rows).sum(2).argmax(1)
    base = np.take_along_axis(rows, largest[:, None, None], 1)
    squares = np.square(base).sum(2)
    factors = np.where(squares > 0, (rows * base).sum(2) / np.where(squares > 0, squares, 1), 1)
    off = np.abs(rows - factors[:, :, None] * base).max(2)
    if (off > TOLERANCE * np.abs(rows).max(2)).any():
        return None
    stored = back[np.arange(len(back)), largest]
    return Turned(stored, factors.ravel(), cyclic)


def turned_back(weight: npt.NDArray[Any], *, cyclic: bool) -> npt.NDArray[Any]:
    """Return filters (O, I, K, K) by fours, (O/4, 4, I, K, K), each turned as the first is."""
    return np.stack([_turn(weight[r::TURNS], -r, cyclic) for r in range(TURNS)], axis=1)


def turned_on(back: npt.NDArray[Any], *, cyclic: bool) -> npt.NDArray[Any]:
    """Return the filters (O, I, K, K) that ``turned_back`` makes ``back`` of."""
    turned = [_turn(back[:, r], r, cyclic) for r in range(TURNS)]
    return np.ascontiguousarray(np.stack(turned, axis=1).reshape(-1, *back.shape[2:]))


def _turn(filters: npt.NDArray[Any], times: int, cyclic: bool) -> npt.NDArray[Any]:
    """Return ``filters`` (O, I, K, K) as ``TurnedConv2d`` turns them."""
    turned = np.rot90(filters, times, (2, 3))
    if not cyclic:
        return turned
    outputs, inputs, *sides = turned.shape
    fours = turned.reshape(outputs, inputs // TURNS, TURNS, *sides)
    return np.roll(fours, times, axis=2).reshape(turned.shape)
