"""Smooth random displacements, as if the digit were drawn on rubber.

Simard et al., "Best practices for convolutional neural networks applied to visual document
analysis" (2003), displace every pixel by noise that a Gaussian of about 4 pixels has smoothed, and
found it the augmentation that handwriting gains most by. Here the noise sits on a coarse grid of
control points and a cubic B-spline smooths it: that is two small matrix products for a batch, and
a spline of knots 7 pixels apart blurs as that Gaussian does.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

CONTROLS = 7  # control points a side: four intervals across the image, and one beyond each end


def displacements(controls: Tensor, height: int, width: int) -> Tensor:
    """Return the displacement of every pixel, float (N, 2, height, width), from ``controls``.

    ``controls``: independent standard normal numbers, float (N, 2, ``CONTROLS``, ``CONTROLS``).
    Over the image the mean square of what is returned is 1, in expectation.
    """
    rows = _spline_weights(height).to(controls)
    columns = _spline_weights(width).to(controls)
    power = rows.square().sum(1).mean() * columns.square().sum(1).mean()
    return rows @ controls @ columns.T / power.sqrt()


@lru_cache
def _spline_weights(length: int) -> Tensor:
    """Return (length, CONTROLS): how much of each control point a pixel gets; rows add up to 1.

    The uniform cubic B-spline, e.g. de Boor, "A practical guide to splines" (1978).
    """
    intervals = CONTROLS - 3
    position = (torch.arange(length, dtype=torch.float64) + 0.5) * intervals / length
    distance = (position[:, None] - torch.arange(-1, CONTROLS - 1)).abs()
    near = 2 / 3 - distance**2 + distance**3 / 2
    far = (2 - distance).clamp(min=0) ** 3 / 6
    return torch.where(distance < 1, near, far).float()
