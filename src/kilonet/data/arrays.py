"""Arrays of numbers as images: grey levels 0–255, no smaller than the networks are made for."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from kilonet.data.idx import IMAGE_SIDE

_AT_ONCE = 8192


def as_pixels(values: Tensor, darkest: float, brightest: float) -> Tensor:
    """Return images of grey levels, uint8 (N, C, H, W), from ``values``, numbers (N, C, H, W).

    ``darkest`` becomes 0 and ``brightest`` 255; what lies beyond is cut off. Sides under 28 pixels,
    which poolings would leave nothing of, are enlarged to 28, with bilinear interpolation.
    """
    size = tuple(max(side, IMAGE_SIDE) for side in values.shape[2:])
    factor = 255.0 / (brightest - darkest) if brightest > darkest else 0.0
    return torch.cat(
        [
            _enlarged(((part.double() - darkest) * factor).float(), size)
            for part in torch.split(values, _AT_ONCE)
        ]
    )


def _enlarged(levels: Tensor, size: Sequence[int]) -> Tensor:
    if tuple(levels.shape[2:]) != tuple(size):
        levels = F.interpolate(levels, size=list(size), mode="bilinear", align_corners=False)
    return levels.round().clamp(0, 255).to(torch.uint8)


def statistics(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of pixels divided by 255, one number a channel.

    ``images``: uint8, (N, C, H, W). A channel that is the same everywhere has a deviation of 1.
    """
    levels = torch.arange(256, dtype=torch.float64) / 255
    means, deviations = [], []
    for channel in images.unbind(1):
        share = torch.bincount(channel.flatten(), minlength=256).double() / channel.numel()
        mean = float((share * levels).sum())
        deviation = float((share * (levels - mean) ** 2).sum().sqrt())
        means.append(mean)
        deviations.append(deviation or 1.0)
    return tuple(means), tuple(deviations)
