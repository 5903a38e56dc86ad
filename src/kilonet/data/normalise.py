"""From stored pixels to what a network sees."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def normalise(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Return ``(images / 255 - mean) / std`` as float32 in channels-last memory format.

    ``images``: uint8, (N, C, H, W); ``mean`` and ``std``: one number per channel, of pixels
    divided by 255. The result has the shape and device of ``images``.
    """
    channels = (1, -1, 1, 1)
    mean_ = torch.tensor(mean, dtype=torch.float32, device=images.device).view(channels)
    std_ = torch.tensor(std, dtype=torch.float32, device=images.device).view(channels)
    pixels = images.to(torch.float32, memory_format=torch.channels_last)
    return pixels.div_(255.0).sub_(mean_).div_(std_)
