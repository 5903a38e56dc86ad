"""What light, paper and a sensor do to grey levels.

All take images, uint8 (N, H, W), bright ink on 0, and return as many of the same shape and type.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import ndimage

from kilonet.evaluation.distortions.pixels import Floats, Images, to_bytes

# At strength 1; between 0 and that, each in proportion.
DIM, FALL = 0.1, 0.4  # light lost everywhere, and from the brightest corner's side to the darkest
PALE = 0.5  # darkness that the ink loses
TEXTURE = 0.04  # standard deviation of the paper's reflectance, over patches of a pixel or two
GRAIN = 4.0  # grey levels: standard deviation of the sensor's noise


def noisy(images: Images, sigma: float, rng: np.random.Generator) -> Images:
    """Add normal noise of standard deviation ``sigma`` grey levels to every pixel."""
    return to_bytes(images + rng.normal(0, sigma, images.shape))


def inverted(images: Images, strength: float, rng: np.random.Generator) -> Images:
    """Turn bright ink on black into dark ink on white; ``strength`` is 1."""
    del strength, rng
    return 255 - images


def on_paper(images: Images, strength: float, rng: np.random.Generator) -> Images:
    """Photograph the digits on paper, in uneven light, with a paler pen; ``strength``: 0 to 1.

    A pixel with a share x of full ink reflects light · texture · (1 − darkness · x). What comes
    back is the negative of that, so that ink is still the brighter: what polarity alone does is
    for ``inverted`` to say. Light falls off evenly across the image, in a direction of its own.
    """
    shape = images.shape
    light = 1 - strength * (DIM + FALL * _ramps(shape, rng))
    texture = ndimage.gaussian_filter(rng.normal(0, 1, shape), (0, 1, 1), mode="wrap")
    texture *= strength * TEXTURE / texture.std()
    reflected = light * (1 + texture) * (1 - (1 - PALE * strength) * (images / 255))
    return to_bytes(255 - 255 * reflected + rng.normal(0, strength * GRAIN, shape))


def _ramps(shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
    """Return planes from 0 at one corner or edge to 1 at the opposite one, each its own way."""
    count, height, width = shape
    direction = rng.uniform(0, 2 * math.pi, (count, 1, 1))
    y, x = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)
    across = np.cos(direction) * x + np.sin(direction) * y
    return np.asarray(0.5 + 0.5 * across / (np.abs(np.cos(direction)) + np.abs(np.sin(direction))))
