"""Which arrays are images, and of which shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from kilonet.errors import DataError
from kilonet.workflows.arrays import (
    ArrayError,
    ArrayFormat,
    as_rows,
    grey_range,
    require_shape,
    shape_of,
)


@pytest.mark.parametrize(
    ("axes", "asked", "shape"),
    [
        ((5, 64), None, (1, 8, 8)),
        ((5, 60), (6, 10), (1, 6, 10)),
        ((5, 60), (3, 4, 5), (3, 4, 5)),
        ((5, 6, 10), None, (1, 6, 10)),
        ((5, 6, 10), (6, 10), (1, 6, 10)),
        ((5, 3, 4, 5), None, (3, 4, 5)),
    ],
)
def test_shapes(
    axes: tuple[int, ...], asked: Sequence[int] | None, shape: tuple[int, int, int]
) -> None:
    images = np.zeros(axes)
    rows = as_rows(images)
    assert shape_of(images, rows.shape[1], asked) == shape
    require_shape(images, shape)
    assert ArrayFormat(shape, 0, 1).images(rows).shape[:2] == (5, shape[0])


@pytest.mark.parametrize(
    ("axes", "asked", "text"),
    [
        ((5, 65), None, "65 features are not a square image"),
        ((5, 65), (8, 8), "input_shape is 1×8×8, but an image of X has 65 numbers"),
        ((5, 8, 8), (4, 16), "in the shape 1×8×8"),
        ((5, 8, 8, 3), None, r"channels come first here\. Give X\.transpose"),
        ((5, 1, 2, 8, 8), None, "X has 5 axes"),
        ((5, 64), (64,), r"expected \(H, W\) or \(C, H, W\)"),
        ((5, 64), (0, 64), "from 1 each"),
    ],
)
def test_what_is_no_image_is_named(
    axes: tuple[int, ...], asked: Sequence[int] | None, text: str
) -> None:
    images = np.zeros(axes)
    with pytest.raises(ArrayError, match=text) as caught:
        shape_of(images, as_rows(images).shape[1], asked)
    assert isinstance(caught.value, ValueError) and isinstance(caught.value, DataError)


def test_other_images_than_those_of_training() -> None:
    with pytest.raises(ArrayError, match=r"images of 1×4×16; .* trained on 1×8×8"):
        require_shape(np.zeros((2, 4, 16)), (1, 8, 8))


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (np.array([[3, 9]], dtype=np.uint8), (0.0, 255.0)),
        (np.array([[3, 9]]), (3.0, 9.0)),
        (np.array([[-0.5, 2.5]]), (-0.5, 2.5)),
    ],
)
def test_black_and_white(rows: Any, expected: tuple[float, float]) -> None:
    assert grey_range(rows) == expected
