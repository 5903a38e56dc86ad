"""Arrays in scikit-learn's forms, converted to the images that a network takes."""

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
    """Arrays are not images and labels to learn from; also a ValueError, for scikit-learn."""


@contextmanager
def array_errors() -> Iterator[None]:
    """Raise scikit-learn's errors about an array as an ``ArrayError``."""
    try:
        yield
    except KilonetError:
        raise
    except ValueError as error:
        raise ArrayError(str(error)) from error


@dataclass(frozen=True)
class ArrayFormat:
    """How a row of numbers becomes an image: its shape (C, H, W), and its range of grey levels."""

    shape: Shape
    darkest: float
    brightest: float

    def images(self, rows: npt.NDArray[Any]) -> Tensor:
        """Return the images in ``rows`` (N, C·H·W), as uint8 (N, C, H, W) with sides from 28 up."""
        values = torch.from_numpy(np.array(rows.reshape(-1, *self.shape)))
        return as_pixels(values, self.darkest, self.brightest)


def as_rows(given: Any) -> Any:
    """Return ``given`` as it is, or images with more than two axes as rows of numbers."""
    if len(_axes(given)) <= 2:
        return given
    array = np.asarray(given)
    return array.reshape(len(array), -1)


def _axes(given: Any) -> tuple[int, ...]:
    """Return the lengths of the axes of ``given``, an array or something convertible to one."""
    axes: tuple[int, ...] = tuple(getattr(given, "shape", None) or np.asarray(given).shape)
    return axes


def shape_of(given: Any, features: int, requested: Sequence[int] | None) -> Shape:
    """Return (C, H, W) of the images in ``given``, which has ``features`` numbers per image.

    ``requested`` is (H, W) or (C, H, W), or None: then N×H×W and N×C×H×W give the shape
    themselves, and rows are square grey images.
    """
    expected = _requested_shape(requested)
    dimensions = _image_axes(given)
    actual = _shape_from_axes(dimensions) if dimensions else expected or _square(features)
    if math.prod(actual) != features or (expected is not None and expected != actual):
        raise ArrayError(
            f"input_shape is {_text(expected or actual)}, but an image of X has {features} numbers"
            f"{f' in the shape {_text(actual)}' if dimensions else ''}. Give the shape that they "
            "have, (H, W) or (C, H, W)."
        )
    return actual


def require_shape(given: Any, shape: Shape) -> None:
    """Check that ``given``, if it has more than two axes, holds images of ``shape`` (C, H, W)."""
    if (axes := _image_axes(given)) and (actual := _shape_from_axes(axes)) != shape:
        raise ArrayError(
            f"X holds images of {_text(actual)}; this classifier was trained on {_text(shape)}."
        )


def _image_axes(given: Any) -> tuple[int, ...]:
    """Return the lengths of the axes of an image in ``given``; none if it is a row."""
    axes = _axes(given)
    return axes[1:] if len(axes) > 2 else ()


def grey_range(rows: npt.NDArray[Any]) -> tuple[float, float]:
    """Return the values of black and white in ``rows``: 0 and 255 for bytes, else the extremes."""
    if rows.dtype == np.uint8:
        return 0.0, 255.0
    return float(rows.min()), float(rows.max())


def _requested_shape(shape: Sequence[int] | None) -> Shape | None:
    if shape is None:
        return None
    lengths = [int(length) for length in shape]
    if len(lengths) not in (2, 3) or min(lengths) < 1:
        raise ArrayError(f"input_shape is {shape!r}; expected (H, W) or (C, H, W), from 1 each.")
    channels, height, width = [1, *lengths][-3:]
    return channels, height, width


def _shape_from_axes(dimensions: Sequence[int]) -> Shape:
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
            f"X has images of {_text((channels, height, width))}: channels come first here. Give "
            "X.transpose(0, 3, 1, 2)."
        )
    return channels, height, width


def _square(features: int) -> Shape:
    side = math.isqrt(features)
    if side * side != features:
        raise ArrayError(
            f"{features} features are not a square image. Name the shape: input_shape=(H, W) or "
            "(C, H, W)."
        )
    return 1, side, side


def _text(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape))
