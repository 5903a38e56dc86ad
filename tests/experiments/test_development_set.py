"""The development set of picture preparation, and the stored vectors."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from kilonet.errors import KilonetError
from kilonet.preprocessing import prepare

ROOT = Path(__file__).resolve().parents[2]

development = importlib.import_module("pictures.development")
handwriting = importlib.import_module("pictures.handwriting")
measurements = importlib.import_module("doc_tables.measurements")
strokes = importlib.import_module("pictures.strokes")
characters = importlib.import_module("pictures.characters")
others = importlib.import_module("pictures.non_digits")
detector = importlib.import_module("train_detector")
sys.path.insert(0, str(ROOT / "tests" / "preprocessing"))
vectors = importlib.import_module("write_vectors")


def image_of_a_cross() -> Any:
    image = np.zeros((28, 28), dtype=np.uint8)
    image[4:24, 12:16] = image[12:16, 6:22] = 255
    return image


def test_a_skeleton_is_thin_and_whole() -> None:
    skeleton = strokes.thinned(np.kron(image_of_a_cross() > 0, np.ones((4, 4), dtype=bool)))
    rows, columns = np.nonzero(skeleton)
    assert np.median(skeleton.sum(axis=1)[rows.min() : rows.max()]) <= 2
    assert np.ptp(rows) > 60
    assert np.ptp(columns) > 45


@pytest.mark.parametrize("width", [3.0, 10.0])
def test_ink_has_the_width_that_was_asked_for(width: float) -> None:
    ink = strokes.shape_of_image(image_of_a_cross()).ink(200, width)
    across = ink[ink.shape[0] // 4 : ink.shape[0] // 3].sum(axis=1)
    assert np.median(across) == pytest.approx(width, abs=1.5)


@pytest.mark.parametrize("digit", range(10))
def test_templates_look_like_their_digits(digit: int) -> None:
    ink = strokes.shape_of_template(digit, np.random.default_rng(digit)).ink(60, 6.0)
    assert 150 < ink.sum() < 1500


def test_handwritten_shapes_are_pictures_of_one_digit() -> None:
    found = list(handwriting.handwriting(1))
    assert len({name for name, _, _ in found}) == len(found) > 20
    assert {digit for _, digit, _ in found} == set(range(10))
    for name, digit, picture in found:
        assert str(digit) in name
        assert prepare(picture).any()


def test_every_kind_is_a_picture() -> None:
    images = np.stack([image_of_a_cross()] * 3)
    found = list(development.digits(images, np.array([1, 4, 7]), 3))
    assert len({kind for kind, _, _ in found}) == 30
    for _, label, picture in found:
        assert label in range(10)
        Image.fromarray(picture)
    refusals = {kind for kind, _ in development.no_digits(images, 2)}
    assert refusals == set(measurements.REASONS)


@pytest.mark.parametrize("draw", [others.scribble, others.doodle])
def test_scribbles_and_doodles_hold_together(draw: Any) -> None:
    rng = np.random.default_rng(0)
    for _ in range(12):
        picture = np.round(255 * (1 - np.pad(draw(rng), 20))).astype(np.uint8)
        assert prepare(picture).max() > 200


def test_pictures_of_other_things() -> None:
    try:
        found = list(others.non_digits(np.stack([image_of_a_cross()] * 3), 2))
    except KilonetError as error:
        pytest.skip(str(error))
    kinds = {*others.DRAWINGS, *others.PAGES, "two characters that touch"}
    assert {kind for kind, _ in found} == kinds
    for _, picture in found:
        Image.fromarray(picture)


@pytest.mark.parametrize("table", [characters.FIGURES, characters.RARE_DIGITS])
def test_figures_to_learn_from_have_ink(table: str) -> None:
    rng = np.random.default_rng(0)
    for _, strokes in characters.variants(table):
        ink = characters.drawn(strokes, rng)
        assert ink.max() > 0.5
        assert 0.01 < ink.mean() < 0.7


def test_the_detector_learns_from_every_source() -> None:
    images = np.stack([image_of_a_cross()] * 3)
    rng = np.random.default_rng(0)
    none, _ = detector.prepared((10, one) for one in detector.non_digits(images, 20, rng))
    found, labels = detector.prepared(detector.digits(images, np.array([1, 4, 7]), 20, rng))
    assert none.shape[1:] == found.shape[1:] == (28, 28)
    assert len(none) >= 15
    assert set(labels) <= set(range(10))


def test_the_vectors_are_what_the_script_writes() -> None:
    """Of each picture only the pixels: what is made of them is tested in both languages."""
    stored = json.loads(vectors.TARGET.read_text(encoding="utf-8"))
    made = [vectors.vector(name, pixels) for name, pixels in vectors.pictures()]
    assert [entry["name"] for entry in made] == [entry["name"] for entry in stored]
    for new, old in zip(made, stored, strict=True):
        assert (new["height"], new["width"]) == (old["height"], old["width"])
        assert len(new.get("digits", [])) == len(old.get("digits", []))
