"""CIFAR-10's binary batches: a byte of label and 3,072 of pixels an image, red, green, blue.

Layout (https://www.cs.toronto.edu/~kriz/cifar.html, "Binary version").
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from kilonet.data.members import Location, damaged
from kilonet.errors import DataError

Bytes: TypeAlias = npt.NDArray[np.uint8]


def read_records(path: Location, shape: tuple[int, int, int], classes: int) -> Bytes:
    """Return the records of a batch: uint8, (N, 1 + C·H·W), N ≥ 1.

    Raises ``DataError`` where the file cannot be read, has no whole number of records, or holds a
    label that is no class.
    """
    try:
        with path.open("rb") as file:
            content = file.read()
    except OSError as error:
        raise DataError(
            f"{path} cannot be read ({error.strerror or error}); expected a batch of CIFAR-10. "
            "Check the path and its permissions."
        ) from error
    length = 1 + int(np.prod(shape))
    if not content or len(content) % length:
        raise damaged(path, f"it has {len(content):,} bytes; expected a multiple of {length:,}")
    records = np.frombuffer(content, np.uint8).reshape(-1, length)
    if (most := int(records[:, 0].max())) >= classes:
        raise damaged(path, f"it holds the label {most}; expected 0 to {classes - 1}")
    return records


def images_of(records: Bytes, shape: tuple[int, int, int]) -> Bytes:
    """Return the images of records: uint8, (N, C, H, W)."""
    return records[:, 1:].reshape(-1, *shape).copy()
