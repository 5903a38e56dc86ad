"""What a pen and a lens do to strokes: their width, and how sharp they are.

Both take images, uint8 (N, H, W), bright ink on 0, and return as many of the same shape and type.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from kilonet.evaluation.distortions.pixels import Images, to_bytes

FINER = 2  # the grid, in parts of a pixel, on which strokes grow


def widened(images: Images, pixels: float, rng: np.random.Generator) -> Images:
    """Make strokes wider by ``pixels``, or narrower if that is below 0.

    Half of it on either side: a grey dilation or erosion by a disc, on a grid of half pixels, of
    which means are taken afterwards. Without a change the images come back as they were.
    """
    del rng
    radius = abs(pixels) * FINER / 2
    reach = int(radius)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disc = (y * y + x * x <= radius * radius)[None]
    morphology = ndimage.grey_dilation if pixels >= 0 else ndimage.grey_erosion
    fine = images.repeat(FINER, axis=1).repeat(FINER, axis=2)
    grown = morphology(fine, footprint=disc, mode="constant", cval=0)
    count, height, width = images.shape
    blocks = grown.reshape(count, height, FINER, width, FINER)
    return to_bytes(blocks.mean(axis=(2, 4)))


def blurred(images: Images, sigma: float, rng: np.random.Generator) -> Images:
    """Blur with a Gaussian of standard deviation ``sigma`` pixels; outside the image is 0."""
    del rng
    sigmas = (0, sigma, sigma)
    return to_bytes(ndimage.gaussian_filter(images.astype(np.float64), sigmas, mode="constant"))
