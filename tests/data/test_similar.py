"""Copies are found through scaling, compression and brightness; different drawings are not."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageDraw

from kilonet.data.similar import difference_hash, near_duplicates
from kilonet.preprocessing import letterbox

Pixels = np.ndarray


def scene(seed: int) -> Image.Image:
    """Return a picture of some discs on a gradient."""
    rng = np.random.default_rng(seed)
    image = Image.linear_gradient("L").resize((200, 150)).rotate(int(rng.integers(0, 360)))
    draw = ImageDraw.Draw(image)
    for _ in range(6):
        x, y, r = rng.integers(10, 190), rng.integers(10, 140), rng.integers(5, 40)
        draw.ellipse([x - r, y - r, x + r, y + r], fill=int(rng.integers(0, 255)))
    return image


def drawing(digit: str) -> Image.Image:
    """Return a thin drawing on blank paper."""
    image = Image.new("L", (120, 120), 255)
    ImageDraw.Draw(image).text((40, 30), digit, fill=0, font_size=60)
    return image


def small(*images: Image.Image) -> Pixels:
    return np.stack([letterbox(image, (3, 64, 64)) for image in images])


def compressed(image: Image.Image) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=40)
    return Image.open(file)


def test_copies_are_found_whatever_was_done_to_them() -> None:
    originals = [scene(seed) for seed in range(5)]
    copies = [
        originals[3].resize((400, 300)),
        compressed(originals[1]),
        originals[4].point(lambda value: value * 0.9 + 10),
    ]
    assert near_duplicates(small(*originals), small(*copies)) == [(1, 1), (3, 0), (4, 2)]


def test_different_pictures_are_not() -> None:
    first = small(*(scene(seed) for seed in range(8)), *(drawing(d) for d in "01234"))
    second = small(*(scene(seed) for seed in range(8, 16)), *(drawing(d) for d in "56789"))
    assert near_duplicates(first, second) == []


def test_a_thing_in_another_colour_is_no_copy_even_between_the_same_borders() -> None:
    def disc(colour: str) -> Image.Image:
        image = Image.new("RGB", (60, 120), (40, 50, 30))
        ImageDraw.Draw(image).ellipse([15, 45, 40, 70], fill=colour)
        return image

    pictures = small(disc("red"), disc("blue"))
    assert near_duplicates(pictures, pictures) == [(0, 0), (1, 1)]


def test_nothing_has_no_copies() -> None:
    assert near_duplicates(small(scene(0)), small(scene(0))[:0]) == []


def test_the_hash_says_which_neighbour_is_brighter() -> None:
    ramp = np.tile(np.arange(0, 170, 10, dtype=np.uint8), (1, 16, 1))
    assert difference_hash(ramp).all()
    assert not difference_hash(ramp[:, :, ::-1]).any()
