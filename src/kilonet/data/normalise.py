"""From stored pixels to what a network sees."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor


def normalise(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Return ``(images / 255 - mean) / std`` as float32 in channels-last memory format.

    ``images``: uint8, (N, C, H, W); ``mean`` and ``std``: one number per channel, of pixels
    divided by 255. The result has the shape and device of ``images``.
    """
    pixels = images.to(torch.float32, memory_format=torch.channels_last)
    pixels = pixels.div_(255.0).sub_(_per_channel(tuple(mean), images.device))
    return pixels.div_(_per_channel(tuple(std), images.device))


def channel_statistics(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the mean and the standard deviation of each channel of ``images`` divided by 255.

    ``images``: uint8, (N, C, H, W). Both are rounded to four digits, as they are published; a
    channel of one grey level has the standard deviation of a single one, not 0.
    """
    levels = torch.arange(256, dtype=torch.float64) / 255
    moments = []
    for channel in images.unbind(dim=1):
        counts = torch.zeros(256, dtype=torch.int64)
        for part in torch.split(channel, 5000):  # what is counted becomes int64
            counts += torch.bincount(part.flatten(), minlength=256)
        shares = counts.double() / channel.numel()
        mean = float((shares * levels).sum())
        variance = float((shares * (levels - mean) ** 2).sum())
        moments.append((round(mean, 4), round(max(variance**0.5, 1 / 255), 4)))
    means, deviations = zip(*moments, strict=True)
    return means, deviations


@lru_cache
def _per_channel(values: tuple[float, ...], device: torch.device) -> Tensor:
    """Return (1, C, 1, 1), made once: a copy to a GPU for every batch would make it wait."""
    return torch.tensor(values, dtype=torch.float32, device=device).view(1, -1, 1, 1)
