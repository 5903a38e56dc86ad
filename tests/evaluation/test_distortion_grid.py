"""The grid: what it holds, and that it always draws the same."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from digits_like import shapes
from hypothesis import given, settings
from hypothesis import strategies as st

from kilonet.evaluation.distortions import KINDS, Kind, distort
from kilonet.evaluation.distortions.pixels import Images

PLACES = [(kind, strength) for kind in KINDS for strength in kind.strengths]


def change(before: Images, after: Images) -> float:
    return float(np.abs(before.astype(float) - after).mean())


def test_the_grid_is_what_the_documentation_says() -> None:
    """Changing it makes figures incomparable with those that were published."""
    assert {kind.name: kind.strengths for kind in KINDS} == {
        "shift": (1, 2, 3, 4),
        "scale": (0.5, 0.7, 1.2, 1.4),
        "rotation": (10, 20, 30, 45),
        "stroke width": (-1, 1, 2, 3),
        "blur": (0.5, 1, 1.5, 2),
        "noise": (25, 50, 75, 100),
        "inversion": (1,),
        "paper": (0.25, 0.5, 0.75, 1),
    }


@pytest.mark.parametrize(("kind", "strength"), PLACES)
def test_shape_type_and_input_stay(kind: Kind, strength: float) -> None:
    images = shapes(5)
    before = images.copy()
    result = distort(kind, strength, images)
    assert (result.shape, result.dtype) == (images.shape, np.uint8)
    assert (images == before).all()
    assert change(images, result) > 0.5


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_stronger_changes_more(kind: Kind) -> None:
    images = shapes(200)
    ladder = {strength: change(images, distort(kind, strength, images))
              for strength in kind.strengths}  # fmt: skip
    for above in (True, False):
        side = [s for s in ladder if (s > kind.nothing) == above]
        side.sort(key=lambda strength: abs(strength - kind.nothing))
        changes = [ladder[strength] for strength in side]
        assert changes == sorted(changes)


@pytest.mark.parametrize("kind", [k for k in KINDS if k.name != "inversion"], ids=lambda k: k.name)
def test_the_strength_of_nothing_changes_nothing(kind: Kind) -> None:
    images = shapes(5)
    assert (distort(kind, kind.nothing, images) == images).all()


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(PLACES), st.integers(1, 6))
def test_the_same_input_gives_the_same(place: tuple[Kind, float], count: int) -> None:
    kind, strength = place
    images = shapes(count)
    first = distort(kind, strength, images)
    np.random.default_rng(5).normal(size=3)
    assert (distort(kind, strength, images) == first).all()


def test_each_place_draws_its_own_numbers() -> None:
    by_name = {kind.name: kind for kind in KINDS}
    grey = np.full((3, 28, 28), 128, dtype=np.uint8)
    first, second = (
        (distort(by_name["noise"], strength, grey).astype(float) - 128) / strength
        for strength in (25, 50)
    )
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.1


def test_the_randomness_is_the_same_everywhere() -> None:
    """A fingerprint of the draws: figures compare only between machines that draw alike."""
    by_name = {kind.name: kind for kind in KINDS}
    bright = distort(by_name["noise"], 100, np.full((4, 28, 28), 128, dtype=np.uint8)) > 128
    assert hashlib.sha256(np.packbits(bright).tobytes()).hexdigest()[:12] == "f94144a348f1"
