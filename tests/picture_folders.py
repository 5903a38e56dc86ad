"""Folders of small pictures that a network can tell apart, made for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = {"red, dark": (170, 20, 20), "green": (30, 190, 40), "blue & sky": (40, 60, 220)}
ENDINGS = ("png", "jpg", "bmp")


def write_pictures(folder: Path, each: int, seed: int = 0) -> Path:
    """Write ``each`` pictures of random sizes a class, noise about a colour, into sub-folders."""
    rng = np.random.default_rng(seed)
    for name, colour in COLOURS.items():
        (folder / name).mkdir(parents=True)
        for number in range(each):
            height, width = rng.integers(12, 60, 2)
            noise = rng.normal(0, 25, (height, width, 3)) + rng.normal(0, 10, 3)
            pixels = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
            ending = ENDINGS[number % len(ENDINGS)]
            Image.fromarray(pixels).save(folder / name / f"{number:02}.{ending}")
    return folder
