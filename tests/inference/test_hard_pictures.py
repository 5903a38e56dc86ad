"""The shipped model on difficult pictures: ruled paper, digits at the border, faint ink."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageDraw

import kilonet
from kilonet.inference import Reader
from kilonet.inference.model import CUT_OFF, OnnxSession
from kilonet.preprocessing import PictureError
from kilonet.preprocessing.prepare import PreparedDigit, PreparedPicture, prepare_picture

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]
Strokes = Sequence[Sequence[tuple[float, float]]]

TWO: Strokes = [[(0, 0.2), (0.25, 0), (0.7, 0), (0.95, 0.2), (0.9, 0.4), (0, 1), (1, 1)]]
FOUR: Strokes = [[(0.6, 0), (0, 0.62), (1, 0.62)], [(0.7, 0.3), (0.7, 1)]]
FIVE: Strokes = [
    [(1, 0), (0.1, 0), (0.05, 0.42), (0.5, 0.36), (0.9, 0.55), (0.9, 0.8), (0.5, 1), (0, 0.9)]
]
SEVEN: Strokes = [[(0, 0), (1, 0), (0.35, 1)]]
DIGITS = {"2": TWO, "4": FOUR, "5": FIVE, "7": SEVEN}


@pytest.fixture(scope="module")
def reads() -> Reader:
    return kilonet.reader()


def drawn(digit: str, height: int, pen: float, margin: tuple[int, int]) -> Floats:
    """Return the ink of a digit, 0 to 1, with a margin of pixels at the sides and above it."""
    width, (across, down) = round(0.45 * height), margin
    size = (4 * (width + 2 * across), 4 * (height + 2 * down))
    image = Image.new("L", size)
    for stroke in DIGITS[digit]:
        points = [
            (4 * (across + pen / 2 + x * (width - pen)), 4 * (down + pen / 2 + y * (height - pen)))
            for x, y in stroke
        ]
        ImageDraw.Draw(image).line(points, fill=255, width=round(4 * pen), joint="curve")
        for x, y in (points[0], points[-1]):
            radius = 2 * pen
            ImageDraw.Draw(image).ellipse(
                (x - radius, y - radius, x + radius, y + radius), fill=255
            )
    return np.asarray(image.resize((size[0] // 4, size[1] // 4), Image.Resampling.BOX)) / 255.0


def lines(shape: tuple[int, ...], degrees: float, distance: float, bend: float = 0) -> Floats:
    """Return parallel lines, 0 to 1, tilted from the horizontal, bent towards one side."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float64)
    angle = math.radians(degrees)
    position = math.cos(angle) * y + math.sin(angle) * x + bend * np.maximum(x - shape[1] / 2, 0)
    return np.asarray(np.clip(1.4 - np.abs((position / distance) % 1 - 0.5) * distance, 0, 1))


def photographed(ink: Floats, printed: Floats, noise: float = 3) -> Pixels:
    rng = np.random.default_rng(len(ink))
    y, x = np.mgrid[-1 : 1 : 1j * ink.shape[0], -1 : 1 : 1j * ink.shape[1]]
    light = 200 - 15 * x - 10 * y - 8 * (x * x + y * y)
    grey = light * (1 - 0.35 * printed) * (1 - 0.7 * ink) + rng.normal(0, noise, ink.shape)
    return np.asarray(np.clip(np.round(grey), 0, 255), dtype=np.uint8)


def on_page(digit: str, side: int = 420, height: int = 100) -> Floats:
    margin = ((side - round(0.45 * height)) // 2, (side - height) // 2)
    return drawn(digit, height, height / 14, margin)


@pytest.mark.parametrize("degrees", [-5, -1, 0.25, 0.5, 1, 2.5, 6])
@pytest.mark.parametrize("squares", [False, True])
@pytest.mark.parametrize("digit", ["2", "5", "7"])
def test_rotated_ruled_and_squared_paper(
    reads: Reader, digit: str, degrees: float, squares: bool
) -> None:
    ink = on_page(digit)
    printed = lines(ink.shape, degrees, 64)
    if squares:
        printed = np.maximum(printed, lines(ink.T.shape, -degrees, 64).T)
    assert reads.predict(photographed(ink, printed)).digit == digit


@pytest.mark.parametrize("bend", [-0.05, 0.03])
@pytest.mark.parametrize("digit", ["4", "5"])
def test_a_folded_sheet(reads: Reader, digit: str, bend: float) -> None:
    ink = on_page(digit)
    assert reads.predict(photographed(ink, lines(ink.shape, 1, 60, bend))).digit == digit


@pytest.mark.parametrize("height", [60, 110, 177, 400])
@pytest.mark.parametrize("pen", [0.025, 0.06, 0.12])
@pytest.mark.parametrize("digit", ["2", "4", "7"])
@pytest.mark.parametrize("margin", [(0, 10), (0, 0), (0, 1)])
@pytest.mark.parametrize("inverted", [False, True])
def test_a_straight_stroke_that_reaches_the_edges(
    reads: Reader, digit: str, height: int, pen: float, margin: tuple[int, int], inverted: bool
) -> None:
    ink = drawn(digit, height, max(1.5, pen * height), margin)
    grey = np.round(255 * (ink if inverted else 1 - ink)).astype(np.uint8)
    assert reads.predict(grey).digit == digit


@pytest.mark.parametrize("digit", ["2", "5", "7"])
@pytest.mark.parametrize("contrast", [0.1, 0.15])
@pytest.mark.parametrize("width", [2, 5])
def test_faint_pencil(reads: Reader, digit: str, contrast: float, width: float) -> None:
    ink = drawn(digit, 240, width, (150, 60))
    y, x = np.mgrid[-1 : 1 : 1j * ink.shape[0], -1 : 1 : 1j * ink.shape[1]]
    grey = (190 - 12 * (x * x + y * y)) * (1 - contrast * ink)
    grey += np.random.default_rng(0).normal(0, 1.5, ink.shape)
    assert reads.predict(np.round(grey).astype(np.uint8)).digit == digit


@pytest.mark.parametrize("digit", [None, "5", "7"])
@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("bar", [0.06, 0.12])
def test_screenshot_of_a_paint_program(
    reads: Reader, digit: str | None, inverted: bool, bar: float
) -> None:
    canvas = np.zeros((300, 340)) if digit is None else on_page(digit, 340, 170)
    height = round(bar * len(canvas))
    top = np.full((height, canvas.shape[1]), 0.15)
    for left in range(12, canvas.shape[1] - 80, 60):
        top[height // 3 : -height // 3, left : left + 28 : 3] = 0.9
    ink = np.vstack([top, canvas, np.full((6, canvas.shape[1]), 0.6), np.zeros((8, len(top.T)))])
    grey = np.round(255 * (ink if inverted else 1 - ink)).astype(np.uint8)
    if digit is not None:
        assert reads.predict(grey).digit == digit
        return
    with pytest.raises(PictureError) as caught:
        reads.predict(grey)
    assert caught.value.kind == "blank"


@pytest.mark.parametrize("gap", [3, 4])
@pytest.mark.parametrize("top", [4, 5])
@pytest.mark.parametrize("inverted", [False, True])
def test_two_digits_in_28_by_28(reads: Reader, gap: int, top: int, inverted: bool) -> None:
    picture = Image.new("L", (28, 28))
    pen = ImageDraw.Draw(picture)
    pen.line((8, top, 8, top + 17), fill=255, width=2)
    pen.ellipse((9 + gap, top, 9 + gap + 9, top + 17), outline=255, width=2)
    grey = np.asarray(picture) if not inverted else 255 - np.asarray(picture)
    with pytest.raises(PictureError) as caught:
        reads.predict(grey)
    assert caught.value.kind == "several"
    assert [found.digit for found in reads.read_all(grey)] == ["1", "0"]


@pytest.mark.parametrize("squares", [False, True])
@pytest.mark.parametrize("degrees", [0, 2])
def test_empty_printed_paper_is_refused(reads: Reader, squares: bool, degrees: float) -> None:
    empty = np.zeros((300, 300))
    printed = lines(empty.shape, degrees, 50)
    if squares:
        printed = np.maximum(printed, lines(empty.shape, -degrees, 50).T)
    with pytest.raises(PictureError):
        reads.predict(photographed(empty, printed))


@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("pen", [0.04, 0.08, 0.14])
def test_digits_that_the_picture_cuts_off(pen: float, inverted: bool) -> None:
    noted: dict[str, list[bool]] = {"whole": [], "touching": [], "cut": []}
    for digit, side, quarter in itertools.product(DIGITS, (60, 200, 500), range(4)):
        ink = np.rot90(drawn(digit, side, pen * side, (side // 3, side // 3)), quarter)
        first = np.flatnonzero(ink.max(axis=1) > 0.3)[0]
        for kind, part in (("whole", ink), ("touching", ink[first:]), ("cut", ink[side // 2 :])):
            ways = np.rot90(part if inverted else 1 - part, -quarter)
            try:
                found = prepare_picture(np.round(255 * ways).astype(np.uint8), several=True)
            except PictureError:
                continue  # too little is left
            noted[kind].append(any(one.cut_off for one in found.digits))
    assert not any(noted["whole"])
    assert np.mean(noted["touching"]) <= 0.2
    assert np.mean(noted["cut"]) >= 0.85


def test_a_digit_that_is_cut_off_has_a_note_and_less_confidence(reads: Reader) -> None:
    ink = drawn("7", 200, 16, (60, 60))[:, 80:]
    found = reads.predict(np.round(255 * (1 - ink)).astype(np.uint8), force=True)
    assert found.notes[0] == CUT_OFF
    assert found.confidence < 0.999
    assert found.to_json()["notes"][0] == CUT_OFF


def test_the_order_of_the_classes_stays(reads: Reader) -> None:
    ink = drawn("7", 200, 16, (60, 60))[:, 80:]
    image = prepare_picture(np.round(255 * (1 - ink)).astype(np.uint8)).digits[0]
    assert image.cut_off
    pictures = [PreparedPicture([PreparedDigit(image.image, cut)]) for cut in (False, True)]
    found = OnnxSession(reads.path).classify(pictures)
    sure, doubtful = (np.array(one[0].probabilities) for one in found)
    assert sure.max() > doubtful.max()
    assert sure.argmax() == doubtful.argmax()
    assert doubtful.sum() == pytest.approx(1, abs=1e-6)


def test_faint_ink_is_refused_with_advice(reads: Reader) -> None:
    grey = 200 + np.random.default_rng(0).normal(0, 2, (120, 120))
    with pytest.raises(PictureError, match="press harder or photograph closer"):
        reads.predict(np.round(grey).astype(np.uint8))
    with pytest.raises(PictureError, match=r"background\.$"):
        reads.predict(np.full((50, 50), 255, dtype=np.uint8))
