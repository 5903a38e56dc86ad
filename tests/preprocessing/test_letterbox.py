"""A whole picture is resized to a network's input size."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from kilonet.preprocessing import PictureError, letterbox


def _picture(width: int, height: int, colour: tuple[int, ...] = (200, 30, 60)) -> Image.Image:
    return Image.new("RGB" if len(colour) == 3 else "RGBA", (width, height), colour)


@given(
    st.integers(1, 90), st.integers(1, 90), st.integers(4, 40), st.integers(4, 40), st.booleans()
)
def test_the_largest_size_that_fits_centred_on_black(
    width: int, height: int, rows: int, columns: int, colour: bool
) -> None:
    found = letterbox(_picture(width, height, (255, 255, 255)), (3 if colour else 1, rows, columns))
    assert found.shape == (3 if colour else 1, rows, columns)
    assert found.dtype == np.uint8
    lit = found[0] > 0
    down, across = lit.any(axis=1), lit.any(axis=0)
    assert down.sum() == rows or across.sum() == columns
    assert (found[:, down][:, :, across] == 255).all()
    for line in (down, across):
        before, after = int(line.argmax()), int(line[::-1].argmax())
        assert 0 <= after - before <= 1


def test_a_picture_of_that_size_keeps_its_pixels() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    for source in (pixels, Image.fromarray(pixels)):
        assert np.array_equal(letterbox(source, (3, 32, 32)), pixels.transpose(2, 0, 1))
    grey = pixels[:, :, 0]
    assert np.array_equal(letterbox(grey, (1, 32, 32))[0], grey)
    assert np.array_equal(letterbox(grey, (3, 32, 32))[2], grey)
    found = letterbox(pixels, (1, 32, 32))[0].astype(int)
    assert np.abs(found - np.asarray(Image.fromarray(pixels).convert("L"))).max() <= 1


def test_shrinking_averages() -> None:
    stripes = np.zeros((64, 64), dtype=np.uint8)
    stripes[:, ::2] = 255
    inside = letterbox(stripes, (1, 16, 16))[0, 2:-2, 2:-2]
    assert np.abs(inside.astype(int) - 127).max() < 20


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "YCbCr", "HSV", "I", "F", "I;16"])
def test_every_mode_of_pillow(mode: str) -> None:
    made = _picture(20, 10).convert("L" if mode in ("I;16", "F", "I") else mode)
    image = made if made.mode == mode else made.convert("I").convert(mode)
    assert letterbox(image, (3, 8, 8)).shape == (3, 8, 8)


def test_exif_orientation_counts() -> None:
    upright = np.zeros((16, 16, 3), dtype=np.uint8)
    upright[:8] = (250, 10, 10)
    image = Image.fromarray(upright).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 90° clockwise
    file = io.BytesIO()
    image.save(file, "PNG", exif=exif)
    found = letterbox(file.getvalue(), (3, 16, 16))
    assert (found[0, :8] == 250).all() and (found[0, 8:] == 0).all()


def test_transparent_pixels_contrast_with_the_rest() -> None:
    for ink, background in ((20, 255), (240, 0)):
        rgba = np.zeros((8, 8, 4), dtype=np.uint8)
        rgba[2:6, 2:6] = (ink, ink, ink, 255)
        found = letterbox(rgba, (3, 8, 8))
        assert found[1, 0, 0] == background and found[1, 3, 3] == ink
    assert not letterbox(np.zeros((8, 8, 4), dtype=np.uint8), (1, 8, 8)).any()


def test_invalid_pictures(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match="of no known format"):
        letterbox(b"nothing", (3, 8, 8))
    with pytest.raises(PictureError, match="No such file"):
        letterbox(tmp_path / "none.png", (3, 8, 8))
    with pytest.raises(PictureError, match="at most 10 are allowed"):
        letterbox(_picture(4, 4), (3, 8, 8), max_pixels=10)
