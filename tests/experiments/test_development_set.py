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

from kilonet.preprocessing import prepare

ROOT = Path(__file__).resolve().parents[2]

development = importlib.import_module("pictures.development")
handwriting = importlib.import_module("pictures.handwriting")
measurements = importlib.import_module("doc_tables.measurements")
strokes = importlib.import_module("pictures.strokes")
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


def test_letters_and_scribbles_hold_together() -> None:
    found = [(kind, np.asarray(picture)) for kind, picture in development.doodles(6)]
    assert [kind for kind, _ in found] == ["letters", "scribbles"] * 6
    assert all(prepare(picture).max() > 200 for _, picture in found)


def test_the_vectors_are_what_the_script_writes() -> None:
    """Of each picture only the pixels: what is made of them is tested in both languages."""
    stored = json.loads(vectors.TARGET.read_text(encoding="utf-8"))
    made = [vectors.vector(name, pixels) for name, pixels in vectors.pictures()]
    assert [entry["name"] for entry in made] == [entry["name"] for entry in stored]
    for new, old in zip(made, stored, strict=True):
        assert (new["height"], new["width"]) == (old["height"], old["width"])
        assert len(new.get("digits", [])) == len(old.get("digits", []))
