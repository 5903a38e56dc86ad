"""What does not look like a digit is refused, whatever network classifies."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageDraw

import kilonet
from classifier import write_classifier
from kilonet.inference import Reader
from kilonet.inference.model import DETECTOR, DIGITS, NOT_A_DIGIT, OnnxSession
from kilonet.preprocessing import PictureError
from kilonet.preprocessing.errors import NotADigitError

Pixels = npt.NDArray[np.uint8]
Strokes = Sequence[Sequence[tuple[float, float]]]

OTHERS: dict[str, Strokes] = {
    "A": [[(0, 1), (0.5, 0), (1, 1)], [(0.2, 0.65), (0.8, 0.65)]],
    "E": [[(1, 0), (0, 0), (0, 1), (1, 1)], [(0, 0.5), (0.8, 0.5)]],
    "H": [[(0, 0), (0, 1)], [(1, 0), (1, 1)], [(0, 0.5), (1, 0.5)]],
    "K": [[(0, 0), (0, 1)], [(1, 0), (0, 0.55)], [(0.3, 0.4), (1, 1)]],
    "M": [[(0, 1), (0, 0), (0.5, 0.7), (1, 0), (1, 1)]],
    "R": [[(0, 1), (0, 0), (0.8, 0), (0.8, 0.5), (0, 0.5)], [(0.4, 0.5), (1, 1)]],
    "W": [[(0, 0), (0.25, 1), (0.5, 0.3), (0.75, 1), (1, 0)]],
    "X": [[(0, 0), (1, 1)], [(1, 0), (0, 1)]],
    "N": [[(0, 1), (0, 0), (1, 1), (1, 0)]],
    "star": [[(0.5, 0), (0.8, 1), (0, 0.4), (1, 0.4), (0.2, 1), (0.5, 0)]],
    "zigzag": [[(0, 0.3), (0.2, 0.7), (0.4, 0.3), (0.6, 0.7), (0.8, 0.3), (1, 0.7)]],
}
SHAPES: dict[str, Strokes] = {
    "1": [[(0.5, 0), (0.5, 1)]],
    "2": [[(0, 0.2), (0.3, 0), (0.7, 0), (1, 0.2), (0.9, 0.45), (0, 1), (1, 1)]],
    "4": [[(0.7, 1), (0.7, 0), (0, 0.65), (1, 0.65)]],
    "5": [[(1, 0), (0.1, 0), (0.05, 0.45), (0.5, 0.38), (0.95, 0.65), (0.6, 1), (0, 0.9)]],
    "7": [[(0, 0), (1, 0), (0.4, 1)]],
}


def drawn(strokes: Strokes, height: int, pen: float, *, inverted: bool = False) -> Pixels:
    """Return a drawing with a margin, dark on white."""
    side = 2 * height
    image = Image.new("L", (2 * side, 2 * side), 255)
    for stroke in strokes:
        points = [
            (side + height * (1.4 * x - 0.7), side + 2 * height * (y - 0.5)) for x, y in stroke
        ]
        ImageDraw.Draw(image).line(points, fill=0, width=round(2 * pen * height), joint="curve")
    grey = np.asarray(image.resize((side, side), Image.Resampling.BOX))
    return 255 - grey if inverted else grey


@pytest.fixture(scope="module")
def default() -> Reader:
    return kilonet.reader()


def test_letters_and_symbols_are_refused(default: Reader) -> None:
    ways = list(itertools.product(OTHERS.values(), (40, 150), (0.05, 0.1), (False, True)))
    pictures = [drawn(one, height, pen, inverted=dark) for one, height, pen, dark in ways]
    errors = [found for found in default.stream(pictures) if isinstance(found, NotADigitError)]
    assert len(errors) >= 0.93 * len(pictures)
    assert {error.kind for error in errors} == {"not-a-digit"}
    assert "force=True" in str(errors[0])


@pytest.mark.parametrize("pen", [0.05, 0.1])
@pytest.mark.parametrize("height", [40, 150])
@pytest.mark.parametrize("digit", sorted(SHAPES))
def test_digits_are_not(default: Reader, digit: str, height: int, pen: float) -> None:
    found = default.predict(drawn(SHAPES[digit], height, pen))
    assert found.digit == digit
    assert found.digit_score is not None
    assert found.digit_score >= 0.5
    assert found.notes == ()


def test_force_predicts_with_a_note(default: Reader) -> None:
    picture = drawn(OTHERS["W"], 100, 0.08)
    found = default.predict(picture, force=True)
    assert (found.notes, found.unsure) == ((NOT_A_DIGIT,), True)
    assert found == default.predict(picture, force=True)
    assert found.to_json()["digit_score"] == pytest.approx(found.digit_score, abs=1e-6)
    (error,) = default.stream([picture])
    assert isinstance(error, NotADigitError)


def test_one_of_several(default: Reader) -> None:
    four, letter = drawn(SHAPES["4"], 100, 0.08), drawn(OTHERS["M"], 100, 0.08)
    first, second = default.read_all(np.hstack([four, letter]))
    assert (first.digit, first.unsure, second.unsure) == ("4", False, True)
    assert second.notes == (NOT_A_DIGIT,)
    letters = np.hstack([letter, drawn(OTHERS["E"], 100, 0.08)])
    with pytest.raises(NotADigitError):
        default.read_all(letters)
    assert [found.unsure for found in default.read_all(letters, force=True)] == [True, True]


@pytest.mark.parametrize("name", ["kilonet-8k", "kilonet-2k", "kilonet-0.5k"])
def test_the_score_does_not_depend_on_the_network(default: Reader, name: str) -> None:
    small = kilonet.reader(name)
    for strokes in (OTHERS["K"], SHAPES["5"]):
        picture = drawn(strokes, 80, 0.08)
        scores = [one.predict(picture, force=True).digit_score for one in (default, small)]
        assert scores[0] == scores[1]


def test_networks_for_other_classes_have_no_score(tmp_path: Path) -> None:
    other = kilonet.reader(write_classifier(tmp_path / "other.onnx", classes="a,b,c,d,e,f,g,h,i,j"))
    found = other.predict(drawn(OTHERS["A"], 60, 0.1))
    assert found.digit_score is None
    assert "digit_score" not in found.to_json()


def test_the_detector_is_a_network_like_others() -> None:
    detector = OnnxSession(DETECTOR)
    assert detector.classes == (*DIGITS, "none")
    blank = detector.probabilities(np.zeros((1, 28, 28), dtype=np.uint8))
    assert blank.shape == (1, 11)


@pytest.mark.parametrize("kind", ["edge of a shadow", "corner"])
@pytest.mark.parametrize("side", [60, 200])
def test_shadows_on_empty_paper_are_refused(default: Reader, kind: str, side: int) -> None:
    y, x = np.mgrid[:side, :side] / side
    shade = (x + 0.3 * y > 0.8) if kind == "edge of a shadow" else (x > 0.6) & (y > 0.5)
    noise = np.random.default_rng(side).normal(0, 2, (side, side))
    with pytest.raises(PictureError):
        default.predict(np.round(200 - 80 * shade + noise).astype(np.uint8))
