"""Arrays as scikit-learn's users have them, as the images that a network is made for."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from kilonet.data.arrays import as_pixels
from kilonet.errors import DataError, KilonetError

Shape = tuple[int, int, int]


class ArrayError(DataError, ValueError):
    """Arrays are not images and labels that can be learnt from; a ValueError to scikit-learn."""


@contextmanager
def array_errors() -> Iterator[None]:
    """Raise what scikit-learn says of an array as an ``ArrayError``."""
    try:
        yield
    except KilonetError:
        raise
    except ValueError as error:
        raise ArrayError(str(error)) from error


@dataclass(frozen=True)
class Frame:
    """How a row of numbers is an image: of ``shape`` (C, H, W), between two grey levels."""

    shape: Shape
    darkest: float
    brightest: float

    def images(self, rows: npt.NDArray[Any]) -> Tensor:
        """Return the images in ``rows`` (N, C·H·W), uint8 (N, C, H, W), sides 28 at least."""
        values = torch.from_numpy(np.array(rows.reshape(-1, *self.shape)))
        return as_pixels(values, self.darkest, self.brightest)


def flat(given: Any) -> Any:
    """Return ``given`` as it is, or images with more than two axes as rows of numbers."""
    if len(_axes(given)) <= 2:
        return given
    array = np.asarray(given)
    return array.reshape(len(array), -1)


def _axes(given: Any) -> tuple[int, ...]:
    """Return the lengths of the axes of ``given``, an array or what can become one."""
    axes: tuple[int, ...] = tuple(getattr(given, "shape", None) or np.asarray(given).shape)
    return axes


def shape_of(given: Any, features: int, asked: Sequence[int] | None) -> Shape:
    """Return (C, H, W) of the images in ``given``, which has ``features`` numbers an image.

    ``asked`` is (H, W) or (C, H, W), or None: images N×H×W and N×C×H×W say it themselves, and rows
    are square and grey.

    Raises:
        ArrayError: they are no such images.
    """
    wanted = _asked(asked)
    dimensions = _image_axes(given)
    found = _own_shape(dimensions) if dimensions else wanted or _square(features)
    if math.prod(found) != features or (wanted is not None and wanted != found):
        raise ArrayError(
            f"input_shape is {_times(wanted or found)}, but an image of X has {features} numbers"
            f"{f' in the shape {_times(found)}' if dimensions else ''}. Give the shape that they "
            "have, (H, W) or (C, H, W)."
        )
    return found


def require_shape(given: Any, shape: Shape) -> None:
    """Check that ``given``, where it has more than two axes, holds images of ``shape`` (C, H, W).

    Raises:
        ArrayError: it holds others.
    """
    if (axes := _image_axes(given)) and (found := _own_shape(axes)) != shape:
        raise ArrayError(
            f"X holds images of {_times(found)}; this classifier was trained on {_times(shape)}."
        )


def _image_axes(given: Any) -> tuple[int, ...]:
    """Return the lengths of the axes of an image in ``given``; none where it is a row."""
    axes = _axes(given)
    return axes[1:] if len(axes) > 2 else ()


def grey_range(rows: npt.NDArray[Any]) -> tuple[float, float]:
    """Return what is black and what is white in ``rows``: 0 and 255 in bytes, else the extremes."""
    if rows.dtype == np.uint8:
        return 0.0, 255.0
    return float(rows.min()), float(rows.max())


def _asked(shape: Sequence[int] | None) -> Shape | None:
    if shape is None:
        return None
    lengths = [int(length) for length in shape]
    if len(lengths) not in (2, 3) or min(lengths) < 1:
        raise ArrayError(f"input_shape is {shape!r}; expected (H, W) or (C, H, W), from 1 each.")
    channels, height, width = [1, *lengths][-3:]
    return channels, height, width


def _own_shape(dimensions: Sequence[int]) -> Shape:
    if len(dimensions) == 2:
        return 1, dimensions[0], dimensions[1]
    if len(dimensions) != 3:
        raise ArrayError(
            f"X has {len(dimensions) + 1} axes; expected rows (N, features), or images (N, H, W) "
            "or (N, C, H, W)."
        )
    channels, height, width = dimensions
    if channels > 4 >= width:
        raise ArrayError(
            f"X has images of {_times((channels, height, width))}: channels come first here. Give "
            "X.transpose(0, 3, 1, 2)."
        )
    return channels, height, width


def _square(features: int) -> Shape:
    side = math.isqrt(features)
    if side * side != features:
        raise ArrayError(
            f"{features} features are no square image. Name the shape: input_shape=(H, W) or "
            "(C, H, W)."
        )
    return 1, side, side


def _times(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape))
