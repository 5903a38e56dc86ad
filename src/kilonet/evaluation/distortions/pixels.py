"""Pixels as numbers and back."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Images: TypeAlias = npt.NDArray[np.uint8]
Floats: TypeAlias = npt.NDArray[np.float64]


def to_bytes(values: npt.NDArray[np.floating[Any]]) -> Images:
    """Return grey levels: ``values`` rounded, and kept within 0 to 255."""
    levels: Images = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return levels
