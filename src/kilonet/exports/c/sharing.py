"""What several channels have in common, to be stored once: turned filters, numbers, units."""

from __future__ import annotations

from functools import reduce
from math import gcd
from typing import Any

import numpy as np
import numpy.typing as npt

from kilonet.exports.c.plan import MemoryPlan
from kilonet.exports.graph.p4 import P4Filters, find_p4_filters
from kilonet.exports.int8.operators import QConv2d, QLinear, QuantisedWeights
from kilonet.recipe.layer_spec import ORIENTATIONS


def same_integers(op: QConv2d) -> P4Filters | None:
    """Return the filters of an integer layer by fours, None unless they are turned to the bit."""
    found = find_p4_filters(op.weights.weight, op.groups)
    return found if found is not None and found.are_equal else None


def has_bytes(plan: MemoryPlan) -> bool:
    """Say whether bytes, in a unit of each layer's own, are all that scales the network's sums."""
    layers = [step.op for step in plan.steps if isinstance(step.op, QConv2d | QLinear)]
    return bool(layers) and all(fits_bytes(op.weights) for op in layers)


def fits_bytes(weights: QuantisedWeights) -> bool:
    """Say whether multipliers are bytes, and offsets signed bytes, times a unit of the layer's."""
    multipliers, _ = in_units(weights.multiplier)
    offsets, _ = in_units(weights.offset)
    return bool(multipliers.max() <= 255 and np.abs(offsets).max() <= 127)


def in_units(values: npt.NDArray[Any]) -> tuple[npt.NDArray[np.int64], int]:
    """Return whole numbers divided by the largest that divides them all, and that."""
    unit = reduce(gcd, values.tolist()) or 1
    return values.astype(np.int64) // unit, unit


def by_orientation(values: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], int]:
    """Return one of each four where four in turn are the same, and 2; else all, and 0.

    The second is by how many bits an index is shifted.
    """
    if (
        len(values) % ORIENTATIONS == 0
        and (values.reshape(-1, ORIENTATIONS) == values[::ORIENTATIONS, None]).all()
    ):
        return values[::ORIENTATIONS], 2
    return values, 0
