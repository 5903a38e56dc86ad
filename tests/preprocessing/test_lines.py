"""Ruled lines and frames are removed, strokes are not."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from made import ONE, SEVEN, difference, drawn, on_paper

from kilonet.preprocessing import PictureError, prepare
from kilonet.preprocessing.components import Box
from kilonet.preprocessing.frame import inside_frame
from kilonet.preprocessing.lines import remove_ruled_lines
from kilonet.preprocessing.segment import downscale

Pixels = npt.NDArray[np.uint8]


def page(side: int = 100, width: float = 6) -> Pixels:
    return 250 - (drawn(SEVEN, side, width).astype(int) * 200 // 255).astype(np.uint8)


def squared(grey: Pixels, darker: int = 80) -> Pixels:
    lines = np.zeros(grey.shape, dtype=bool)
    lines[7::23] = lines[:, 11::19] = True
    return np.where(lines, np.maximum(grey.astype(int) - darker, 20), grey).astype(np.uint8)


@pytest.mark.parametrize("inverted", [False, True])
def test_ruled_lines_are_removed_and_strokes_stay(inverted: bool) -> None:
    plain, ruled = page().astype(float), squared(page()).astype(float)
    if inverted:
        plain, ruled = 255 - plain, 255 - ruled
    assert np.abs(remove_ruled_lines(ruled) - plain).mean() < 3
    assert np.abs(ruled - plain).mean() > 6


@pytest.mark.parametrize("strokes", [SEVEN, ONE])
@pytest.mark.parametrize("width", [1, 2, 6, 15])
def test_straight_strokes_are_not_lines(
    strokes: list[list[tuple[float, float]]], width: int
) -> None:
    ink = drawn(strokes, side=100, width=width).astype(float)
    assert np.array_equal(remove_ruled_lines(ink), ink)


def test_uneven_light_is_not_a_line() -> None:
    grey = on_paper(drawn(SEVEN, side=100, width=6), noise=2).astype(float)
    assert np.array_equal(remove_ruled_lines(grey), grey)


def test_a_digit_on_squared_paper() -> None:
    assert difference(prepare(page()), prepare(squared(page()))) < 0.2


def test_the_box_inside_a_frame() -> None:
    grey = page().astype(float)
    assert inside_frame(grey) is None
    grey[:2] = 30
    grey[:, -1] = 90
    assert inside_frame(grey) == Box(0, 3, 98, 100)


@pytest.mark.parametrize("side", [8, 16])
def test_small_scans_have_no_frame(side: int) -> None:
    grey = np.full((side, side), 255.0)
    grey[0] = 0
    assert inside_frame(grey) is None
    assert remove_ruled_lines(grey) is grey


def test_desk_around_the_paper_is_not_a_frame() -> None:
    grey = np.full((120, 120), 60.0)
    grey[10:110, 10:110] = page()
    assert inside_frame(grey) is None


@pytest.mark.parametrize("line", [1, 2, 4])
def test_a_stroke_that_runs_into_the_frame(line: int) -> None:
    cut = page()[10:, :81]
    framed = np.pad(cut, line, constant_values=40)
    assert difference(prepare(cut), prepare(framed)) < 0.25


@pytest.mark.parametrize("side", [60, 100, 400])
def test_a_digit_in_a_printed_field(side: int) -> None:
    digit = page(side, side / 16)
    line, around = max(1, side // 80), side // 10
    field = np.pad(np.pad(digit, line, constant_values=90), around, constant_values=250)
    assert difference(prepare(digit), prepare(field)) < 0.2


@pytest.mark.parametrize("side", [60, 100, 400])
@pytest.mark.parametrize("noise", [0, 4])
def test_an_empty_field_is_blank(side: int, noise: float) -> None:
    line, around = max(1, side // 80), side // 10
    paper = np.full((side, side), 250.0)
    field = np.pad(np.pad(paper, line, constant_values=90), around, constant_values=250)
    field += np.random.default_rng(side).normal(0, noise, field.shape)
    with pytest.raises(PictureError) as found:
        prepare(field.clip(0, 255).astype(np.uint8))
    assert found.value.kind == "blank"


@pytest.mark.parametrize("width", [8, 12])
def test_rectangular_zero_is_not_taken_for_a_frame(width: int) -> None:
    zero = np.pad(np.zeros((100 - 2 * width, 60 - 2 * width)), width, constant_values=255)
    assert prepare(np.pad(zero, 20).astype(np.uint8)).any()


def test_thin_stroke_with_noise_pixels() -> None:
    rng = np.random.default_rng(0)
    ink = drawn(SEVEN, side=110, width=1.5)
    specks = rng.random(ink.shape) < 0.012
    dirty = np.where(specks, np.uint8(255), ink)
    assert difference(prepare(ink), prepare(dirty)) < 0.5
    with pytest.raises(PictureError):
        prepare(np.where(specks, np.uint8(255), np.uint8(0)))


@pytest.mark.parametrize(("side", "width"), [(28, 2.5), (50, 2.5), (300, 15)])
def test_faint_ink_is_not_mistaken_for_noise(side: int, width: float) -> None:
    ink = drawn(SEVEN, side=side, width=width)
    rng = np.random.default_rng(side)
    grey = 200 - ink / 255 * 16 + rng.normal(0, 1, ink.shape)
    assert difference(prepare(ink), prepare(grey.round().astype(np.uint8))) < 0.45


def test_the_frame_of_a_downscaled_picture() -> None:
    grey = np.full((600, 600), 240, dtype=np.uint8)
    grey[:12] = 20
    found = inside_frame(downscale(grey, 6))
    assert found is not None
    assert found.y0 == 3
