"""Batches of an epoch: their order, and pixels normalised for the network."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache

import torch
from torch import Tensor


def batches(
    indices: Tensor, batch_size: int, generator: torch.Generator | None
) -> Iterator[Tensor]:
    """Yield ``indices`` (int64, (N,)) in batches of ``batch_size``; the last may be shorter.

    A generator shuffles them first; None keeps their order.
    """
    if generator is not None:
        order = torch.randperm(len(indices), generator=generator, device=generator.device)
        indices = indices[order.to(indices.device)]
    for start in range(0, len(indices), batch_size):
        yield indices[start : start + batch_size]


def normalise(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Return ``(images / 255 - mean) / std`` as float32 in channels-last memory format.

    ``images``: uint8, (N, C, H, W); ``mean`` and ``std``: one number per channel, of pixels
    divided by 255. The result has the shape and device of ``images``.
    """
    pixels = images.to(torch.float32, memory_format=torch.channels_last)
    pixels = pixels.div_(255.0).sub_(_per_channel(tuple(mean), images.device))
    return pixels.div_(_per_channel(tuple(std), images.device))


def channel_statistics(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of each channel, rounded to four digits as published.

    ``images``: uint8, (N, C, H, W), counted as divided by 255. The standard deviation is at least
    1 / 255, so that a constant channel does not divide by 0.
    """
    means, deviations = exact_statistics(images)
    return (
        tuple(round(mean, 4) for mean in means),
        tuple(round(max(deviation, 1 / 255), 4) for deviation in deviations),
    )


def exact_statistics(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of each channel of ``images`` divided by 255.

    ``images``: uint8, (N, C, H, W).
    """
    levels = torch.arange(256, dtype=torch.float64) / 255
    means, deviations = [], []
    for channel in images.unbind(dim=1):
        counts = torch.zeros(256, dtype=torch.int64)
        for chunk in torch.split(channel, 5000):  # bincount converts its input to int64
            counts += torch.bincount(chunk.flatten(), minlength=256)
        shares = counts.double() / channel.numel()
        mean = float((shares * levels).sum())
        means.append(mean)
        deviations.append(math.sqrt(float((shares * (levels - mean) ** 2).sum())))
    return tuple(means), tuple(deviations)


@lru_cache
def _per_channel(values: tuple[float, ...], device: torch.device) -> Tensor:
    """Return (1, C, 1, 1), cached: a copy to the GPU for every batch would make the GPU wait."""
    return torch.tensor(values, dtype=torch.float32, device=device).view(1, -1, 1, 1)
