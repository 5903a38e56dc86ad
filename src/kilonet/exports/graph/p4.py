"""Detection of p4 filters: convolution weights that are rotated copies of one another.

``models.blocks.P4Conv2d`` stores one filter of every four. An exported graph contains all of them,
each times a factor, because batch norm is folded into it. This module recovers the stored filters,
so that an export can store them alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kilonet.recipe.layer_spec import ORIENTATIONS

TOLERANCE = 1e-5
"""Allowed difference from rotated filters, relative to the largest weight: float32's rounding."""


@dataclass(frozen=True, eq=False)
class P4Filters:
    """p4 filters: filter 4o + r is ``base[o]`` rotated by r · 90°, times ``factors[4o + r]``.

    ``base`` is (O/4, I/groups, K, K), ``factors`` (O,). For a ``regular`` convolution the input
    channels of a filter also shift cyclically by r within each four.
    """

    base: npt.NDArray[Any]
    factors: npt.NDArray[np.float64]
    regular: bool

    @property
    def are_equal(self) -> bool:
        """Whether the filters of each four are rotated copies without other factors."""
        return bool((self.factors == 1).all())


def find_p4_filters(weight: npt.NDArray[Any], groups: int) -> P4Filters | None:
    """Return ``weight`` (O, I/groups, K, K) as p4 filters, or None if it is not such.

    Convolutions with groups are supported only if they are depthwise.
    """
    outputs, inputs, height, width = weight.shape
    if groups not in (1, outputs) or (groups > 1 and inputs > 1):
        return None
    if outputs % ORIENTATIONS or height != width or weight[0].size < ORIENTATIONS:
        return None
    kinds = (True, False) if groups == 1 and inputs % ORIENTATIONS == 0 else (False,)
    return next(filter(None, (_as_p4(weight, regular) for regular in kinds)), None)


def _as_p4(weight: npt.NDArray[Any], regular: bool) -> P4Filters | None:
    aligned = align_orientations(weight, regular=regular)
    rows = aligned.reshape(*aligned.shape[:2], -1).astype(np.float64)
    largest = np.square(rows).sum(2).argmax(1)
    base = np.take_along_axis(rows, largest[:, None, None], 1)
    squares = np.square(base).sum(2)
    factors = np.where(squares > 0, (rows * base).sum(2) / np.where(squares > 0, squares, 1), 1)
    differences = np.abs(rows - factors[:, :, None] * base).max(2)
    if (differences > TOLERANCE * np.abs(rows).max(2)).any():
        return None
    stored = aligned[np.arange(len(aligned)), largest]
    return P4Filters(stored, factors.ravel(), regular)


def align_orientations(weight: npt.NDArray[Any], *, regular: bool) -> npt.NDArray[Any]:
    """Return filters (O, I, K, K) as (O/4, 4, I, K, K), each rotated back to the orientation 0."""
    rotated = [_rotate(weight[r::ORIENTATIONS], -r, regular) for r in range(ORIENTATIONS)]
    return np.stack(rotated, axis=1)


def rotate_orientations(aligned: npt.NDArray[Any], *, regular: bool) -> npt.NDArray[Any]:
    """Return filters (O, I, K, K) from ``aligned`` ones: the inverse of ``align_orientations``."""
    rotated = [_rotate(aligned[:, r], r, regular) for r in range(ORIENTATIONS)]
    return np.ascontiguousarray(np.stack(rotated, axis=1).reshape(-1, *aligned.shape[2:]))


def _rotate(filters: npt.NDArray[Any], times: int, regular: bool) -> npt.NDArray[Any]:
    """Rotate ``filters`` (O, I, K, K) by ``times`` · 90°, as ``P4Conv2d`` does."""
    rotated = np.rot90(filters, times, (2, 3))
    if not regular:
        return rotated
    outputs, inputs, *sides = rotated.shape
    by_orientation = rotated.reshape(outputs, inputs // ORIENTATIONS, ORIENTATIONS, *sides)
    return np.roll(by_orientation, times, axis=2).reshape(rotated.shape)
