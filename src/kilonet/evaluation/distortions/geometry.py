"""Where a digit lies, how large and how upright it is: one bilinear resampling, 0 from outside.

All take images, uint8 (N, H, W), bright ink on 0, and return as many of the same shape and type.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import ndimage

from kilonet.evaluation.distortions.pixels import Floats, Images, to_bytes


def shifted(images: Images, distance: float, rng: np.random.Generator) -> Images:
    """Move each image by ``distance`` pixels, in a direction of its own, all equally likely."""
    directions = rng.uniform(0, 2 * math.pi, len(images))
    offsets = distance * np.stack([np.sin(directions), np.cos(directions)], axis=1)
    still = np.broadcast_to(np.eye(2), (len(images), 2, 2))
    return _resampled(images, still, offsets)


def scaled(images: Images, factor: float, rng: np.random.Generator) -> Images:
    """Enlarge each image about its centre by ``factor``, or reduce it if that is below 1."""
    del rng
    inverse = np.broadcast_to(np.eye(2) / factor, (len(images), 2, 2))
    return _resampled(images, inverse, np.zeros((len(images), 2)))


def rotated(images: Images, degrees: float, rng: np.random.Generator) -> Images:
    """Turn each image about its centre by ``degrees``, one way or the other, equally likely."""
    angles = np.deg2rad(degrees) * rng.choice([-1.0, 1.0], len(images))
    cosine, sine = np.cos(angles), np.sin(angles)
    inverse = np.stack([np.stack([cosine, sine], 1), np.stack([-sine, cosine], 1)], axis=1)
    return _resampled(images, inverse, np.zeros((len(images), 2)))


def _resampled(images: Images, inverse: Floats, offsets: Floats) -> Images:
    """Map each image's pixels, (row, column) about the centre, and move them by ``offsets``.

    ``inverse``, (N, 2, 2), leads from a pixel of the result to the one that it shows.
    """
    centre = (np.array(images.shape[1:]) - 1) / 2
    result = np.empty(images.shape)
    for place, (image, matrix, offset) in enumerate(zip(images, inverse, offsets, strict=True)):
        ndimage.affine_transform(
            image.astype(np.float64),
            matrix,
            centre - matrix @ (centre + offset),
            output=result[place],
            order=1,
            mode="grid-constant",
        )
    return to_bytes(result)
