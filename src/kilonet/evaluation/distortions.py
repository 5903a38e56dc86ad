"""Distortions of digits: eight kinds, each at fixed strengths. Robustness is measured over them.

Results over this grid are comparable only with results over the same grid. A change to it changes
what "robustness" means; change ``docs/robustness.md`` with it.

All functions take images, uint8 (N, H, W), bright ink on 0, and return images of the same shape and
type.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias
from zlib import crc32

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Images: TypeAlias = npt.NDArray[np.uint8]
Floats: TypeAlias = npt.NDArray[np.float64]

SEED = 0
"""Seed of every distortion's random numbers."""

# Parts of a pixel: the grid on which strokes grow.
SUBPIXELS = 2
# Paper at strength 1; smaller strengths in proportion.
DIMMING, FALLOFF = 0.1, 0.4  # light lost everywhere, and from the brightest side to the darkest
PALENESS = 0.5  # share of its darkness that the ink loses
TEXTURE = 0.04  # standard deviation of the paper's reflectance, over patches of a pixel or two
GRAIN = 4.0  # standard deviation of the sensor's noise, in grey levels


def shifted(images: Images, distance: float, rng: np.random.Generator) -> Images:
    """Move each image by ``distance`` pixels in a random direction."""
    directions = rng.uniform(0, 2 * math.pi, len(images))
    offsets = distance * np.stack([np.sin(directions), np.cos(directions)], axis=1)
    identity = np.broadcast_to(np.eye(2), (len(images), 2, 2))
    return _resampled(images, identity, offsets)


def scaled(images: Images, factor: float, rng: np.random.Generator) -> Images:
    """Scale each image about its centre by ``factor``."""
    del rng
    inverse = np.broadcast_to(np.eye(2) / factor, (len(images), 2, 2))
    return _resampled(images, inverse, np.zeros((len(images), 2)))


def rotated(images: Images, degrees: float, rng: np.random.Generator) -> Images:
    """Rotate each image about its centre by ``degrees``, in a random direction."""
    angles = np.deg2rad(degrees) * rng.choice([-1.0, 1.0], len(images))
    cosine, sine = np.cos(angles), np.sin(angles)
    inverse = np.stack([np.stack([cosine, sine], 1), np.stack([-sine, cosine], 1)], axis=1)
    return _resampled(images, inverse, np.zeros((len(images), 2)))


def widened(images: Images, pixels: float, rng: np.random.Generator) -> Images:
    """Make strokes wider by ``pixels``, or narrower if ``pixels`` is negative.

    Each side of a stroke gets half of it: a grey dilation or erosion by a disc on a grid of half
    pixels, averaged back to whole pixels. 0 leaves the images unchanged.
    """
    del rng
    radius = abs(pixels) * SUBPIXELS / 2
    reach = int(radius)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disc = (y * y + x * x <= radius * radius)[None]
    morphology = ndimage.grey_dilation if pixels >= 0 else ndimage.grey_erosion
    fine = images.repeat(SUBPIXELS, axis=1).repeat(SUBPIXELS, axis=2)
    grown = morphology(fine, footprint=disc, mode="constant", cval=0)
    count, height, width = images.shape
    blocks = grown.reshape(count, height, SUBPIXELS, width, SUBPIXELS)
    return _to_bytes(blocks.mean(axis=(2, 4)))


def blurred(images: Images, sigma: float, rng: np.random.Generator) -> Images:
    """Blur with a Gaussian of standard deviation ``sigma`` pixels; outside the image is 0."""
    del rng
    sigmas = (0, sigma, sigma)
    return _to_bytes(ndimage.gaussian_filter(images.astype(np.float64), sigmas, mode="constant"))


def noisy(images: Images, sigma: float, rng: np.random.Generator) -> Images:
    """Add normal noise of standard deviation ``sigma`` grey levels to every pixel."""
    return _to_bytes(images + rng.normal(0, sigma, images.shape))


def inverted(images: Images, strength: float, rng: np.random.Generator) -> Images:
    """Change bright ink on black into dark ink on white; ``strength`` is always 1."""
    del strength, rng
    return 255 - images


def on_paper(images: Images, strength: float, rng: np.random.Generator) -> Images:
    """Simulate a photograph of paper in uneven light, with a paler pen; ``strength``: 0 to 1.

    A pixel with the ink share x reflects light · texture · (1 − darkness · x). The result is the
    negative of that, so that ink stays brighter than paper (``inverted`` tests polarity). Light
    falls off evenly across the image, in a random direction.
    """
    shape = images.shape
    light = 1 - strength * (DIMMING + FALLOFF * _ramps(shape, rng))
    texture = ndimage.gaussian_filter(rng.normal(0, 1, shape), (0, 1, 1), mode="wrap")
    texture *= strength * TEXTURE / texture.std()
    reflected = light * (1 + texture) * (1 - (1 - PALENESS * strength) * (images / 255))
    return _to_bytes(255 - 255 * reflected + rng.normal(0, strength * GRAIN, shape))


@dataclass(frozen=True)
class Distortion:
    """A kind of distortion, ``apply``, and the strengths at which it is measured.

    At the strength ``neutral`` it changes nothing. ``unit`` is empty where there is none.
    """

    name: str
    unit: str
    strengths: tuple[float, ...]
    apply: Callable[[Images, float, np.random.Generator], Images]
    neutral: float = 0.0


DISTORTIONS = (
    Distortion("shift", "pixels", (1, 2, 3, 4), shifted),
    Distortion("scale", "factor", (0.5, 0.7, 1.2, 1.4), scaled, neutral=1.0),
    Distortion("rotation", "degrees", (10, 20, 30, 45), rotated),
    Distortion("stroke width", "pixels", (-1, 1, 2, 3), widened),
    Distortion("blur", "pixels (σ)", (0.5, 1, 1.5, 2), blurred),
    Distortion("noise", "grey levels (σ)", (25, 50, 75, 100), noisy),
    Distortion("inversion", "", (1,), inverted),
    Distortion("paper", "of the strongest", (0.25, 0.5, 0.75, 1), on_paper),
)


def distort(distortion: Distortion, strength: float, images: Images) -> Images:
    """Return ``images``, uint8 (N, H, W), distorted; the same input always gives the same output.

    The random numbers depend only on the distortion's name, the strength, and the number and size
    of the images.
    """
    words = [SEED, crc32(distortion.name.encode()), crc32(f"{strength:g}".encode())]
    return distortion.apply(images, strength, np.random.default_rng(words))


def _resampled(images: Images, inverse: Floats, offsets: Floats) -> Images:
    """Transform each image about its centre, bilinearly, and move it by ``offsets``, (N, 2).

    ``inverse``, (N, 2, 2), maps (row, column) of the result to that of the source. Pixels from
    outside the image are 0.
    """
    centre = (np.array(images.shape[1:]) - 1) / 2
    result = np.empty(images.shape)
    for index, (image, matrix, offset) in enumerate(zip(images, inverse, offsets, strict=True)):
        ndimage.affine_transform(
            image.astype(np.float64),
            matrix,
            centre - matrix @ (centre + offset),
            output=result[index],
            order=1,
            mode="grid-constant",
        )
    return _to_bytes(result)


def _ramps(shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
    """Return planes (N, H, W) that rise from 0 on one side to 1 on the other, each at random."""
    count, height, width = shape
    direction = rng.uniform(0, 2 * math.pi, (count, 1, 1))
    y, x = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)
    across = np.cos(direction) * x + np.sin(direction) * y
    return np.asarray(0.5 + 0.5 * across / (np.abs(np.cos(direction)) + np.abs(np.sin(direction))))


def _to_bytes(values: npt.NDArray[np.floating[Any]]) -> Images:
    """Return ``values`` rounded and clipped to 0 … 255."""
    levels: Images = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return levels
