"""Digits are found in pictures; blank pictures and noise are refused."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from made import FIVE_APART, ONE, SEVEN, drawn, on_paper

from kilonet.preprocessing.decode import GreyPicture
from kilonet.preprocessing.errors import BlankError, NoiseError, TooSmallError
from kilonet.preprocessing.segment import downscale, find_digits


def found(grey: npt.NDArray[np.uint8]) -> list[npt.NDArray[np.float64]]:
    return [ink.values / ink.full for ink in find_digits(GreyPicture("it", grey))]


def bounding_box(ink: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return the ink's bounding box and one pixel around it."""
    rows, columns = (np.nonzero(ink.max(axis=axis) > 102)[0] for axis in (1, 0))
    return ink[rows[0] - 1 : rows[-1] + 2, columns[0] - 1 : columns[-1] + 2]


@pytest.mark.parametrize("strokes", [SEVEN, FIVE_APART, ONE])
@pytest.mark.parametrize("inverted", [False, True])
def test_ink_in_either_polarity(strokes: list[list[tuple[float, float]]], inverted: bool) -> None:
    ink = drawn(strokes, side=100, width=8)
    (values,) = found(255 - ink if inverted else ink)
    assert values.shape == bounding_box(ink).shape
    np.testing.assert_allclose(values, bounding_box(ink) / 255, atol=0.1)


@pytest.mark.parametrize("strokes", [SEVEN, FIVE_APART, ONE])
def test_pencil_on_paper(strokes: list[list[tuple[float, float]]]) -> None:
    ink = drawn(strokes, side=100, width=6)
    (values,) = found(on_paper(ink))
    assert values.shape == pytest.approx(bounding_box(ink).shape, abs=1)
    assert values[values > 0.5].sum() == pytest.approx((ink / 255).sum(), rel=0.1)


def test_specks_are_dropped() -> None:
    ink = drawn(SEVEN, side=100, width=8)
    dirty = ink.copy()
    dirty[3:5, 3:5] = dirty[90:92, 80] = dirty[50, 8] = 255
    assert np.array_equal(found(dirty)[0], found(ink)[0])


@pytest.mark.parametrize("side", [300, 1050, 2400])
def test_a_small_digit_on_a_large_page_is_segmented_again(side: int) -> None:
    page = np.full((side, side), 250, dtype=np.uint8)
    digit = drawn(SEVEN, side=100, width=6)
    page[side // 2 : side // 2 + 100, 40:140] = 250 - digit // 2
    (values,) = found(page)
    assert max(values.shape) > 40


def test_a_sheet_on_a_table() -> None:
    sheet = 250 - (drawn(SEVEN, side=100, width=6).astype(int) * 200 // 255)
    table = np.full((120, 130), 60, dtype=np.uint8)
    table[10:110, 10:110] = sheet
    (values,) = found(table)
    assert values.shape == pytest.approx(bounding_box(drawn(SEVEN, side=100, width=6)).shape, abs=1)


def test_a_thick_stroke_is_not_a_sheet() -> None:
    (values,) = found(np.pad(np.full((70, 60), 255, dtype=np.uint8), 10))
    assert values.shape == (72, 62)


@pytest.mark.parametrize("seed", range(5))
def test_a_noisy_tightly_cropped_scan(seed: int) -> None:
    """A thick 0 touches all four sides; paper is visible in the corners and the middle."""
    y, x = np.mgrid[-1:1:40j, -1:1:30j]
    ink = np.clip((0.3 - np.abs(np.hypot(x, y) - 0.78)) * 15, 0, 1)
    noise = np.random.default_rng(seed).normal(0, 3, ink.shape)
    (values,) = found(np.clip(20 + ink * 200 + noise, 0, 255).astype(np.uint8))
    assert values.shape == (40, 30)
    assert np.abs(values - ink).mean() < 0.1


def test_several_digits() -> None:
    row = np.hstack([drawn(s, side=60, width=6) for s in (ONE, SEVEN, FIVE_APART)])
    widths = [values.shape[1] for values in found(row)]
    assert widths[0] < widths[1]
    assert len(widths) == 3


@pytest.mark.parametrize("level", [0, 77, 255])
@pytest.mark.parametrize("shape", [(28, 28), (9, 300), (700, 500)])
def test_blank(shape: tuple[int, int], level: int) -> None:
    with pytest.raises(BlankError, match="it is blank"):
        found(np.full(shape, level, dtype=np.uint8))


def test_an_empty_sheet_is_refused() -> None:
    for seed in range(5):
        with pytest.raises((BlankError, NoiseError, TooSmallError)):
            found(on_paper(np.zeros((200, 200), dtype=np.uint8), seed=seed))


@pytest.mark.parametrize("side", [28, 64, 100, 280, 600])
@pytest.mark.parametrize("kind", ["uniform", "bits", "few", "normal"])
def test_noise(side: int, kind: str) -> None:
    for seed in range(3):
        random = np.random.default_rng(seed)
        grey = {
            "uniform": random.integers(0, 256, (side, side)),
            "bits": 255 * (random.random((side, side)) < 0.5),
            "few": 255 * (random.random((side, side)) < 0.15),
            "normal": np.clip(random.normal(128, 30, (side, side)), 0, 255),
        }[kind]
        with pytest.raises((BlankError, NoiseError)):
            found(grey.astype(np.uint8))


def test_far_too_small() -> None:
    with pytest.raises(
        TooSmallError, match="its ink measures 4 pixels, and a digit needs at least"
    ):
        found(np.pad(np.full((4, 2), 255, dtype=np.uint8), 12))
    with pytest.raises(TooSmallError, match="it is far too small"):
        found(np.zeros((3, 5), dtype=np.uint8))


@pytest.mark.parametrize("shape", [(12, 12), (13, 17), (5, 1)])
@pytest.mark.parametrize("step", [1, 2, 3, 7])
def test_downscale_is_the_mean_of_blocks(shape: tuple[int, int], step: int) -> None:
    grey = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    small = downscale(grey, step)
    padded = np.pad(grey, [(0, -length % step) for length in shape], mode="edge")
    assert small.shape == (padded.shape[0] // step, padded.shape[1] // step)
    for y in range(small.shape[0]):
        for x in range(small.shape[1]):
            block = padded[y * step : (y + 1) * step, x * step : (x + 1) * step]
            assert small[y, x] == pytest.approx(block.mean())
