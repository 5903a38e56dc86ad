"""Colour and transparency."""

from __future__ import annotations

import numpy as np
import pytest
from made import drawn
from PIL import Image

from kilonet.preprocessing.grey import flatten, luma

INK = drawn(side=40, width=4)


def test_luma_is_pillows() -> None:
    colours = np.random.default_rng(0).integers(0, 256, (50, 60, 3), dtype=np.uint8)
    assert np.array_equal(luma(colours), np.asarray(Image.fromarray(colours).convert("L")))


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (200, 30, 30), (120, 120, 120)])
@pytest.mark.parametrize("hidden", [0, 255])
def test_ink_on_nothing(colour: tuple[int, int, int], hidden: int) -> None:
    rgba = np.dstack([np.full((*INK.shape, 3), colour, dtype=np.uint8), INK])
    rgba[INK == 0, :3] = hidden
    grey = flatten(rgba).astype(int)
    level = int(luma(np.array([[colour]], dtype=np.uint8))[0, 0])
    fill = 255 if level < 128 else 0
    assert (grey[INK == 0] == fill).all()
    assert (grey[INK == 255] == level).all()


def test_a_sheet_with_nothing_around() -> None:
    sheet = np.zeros((60, 60, 4), dtype=np.uint8)
    sheet[10:50, 10:50, :3] = (230 - INK.astype(int) * 200 // 255)[..., None]
    sheet[10:50, 10:50, 3] = 255
    grey = flatten(sheet)
    assert (grey[:10] == 230).all()
    assert grey[10:50, 10:50].min() == 30


def test_nothing_to_see_and_nothing_transparent() -> None:
    assert (flatten(np.zeros((5, 5, 4), dtype=np.uint8)) == 255).all()
    opaque = np.dstack([INK, INK, INK, np.full_like(INK, 255)])
    assert np.array_equal(flatten(opaque), INK)
