"""Random changes of pen, lens, paper and sensor to a whole batch, each image with its own.

Where a pixel lies stays as it is; grey levels change. All but ``repainted`` take and return float
images, (N, C, H, W), 0–255 and bright ink on 0, and one number per image.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

# Every call draws these, whatever is switched on: switching one change on or off leaves what the
# others draw unchanged. How much of each, whether at all, and the light at four corners.
_DRAWS = 6 + 4 + 4

PALE, DIM = 0.5, 0.5  # shares of ink and of light that are lost at most, on paper of strength 1
_SHARP = 1e-3  # pixels: a Gaussian so narrow changes nothing
_FAINT = 1e-9  # of its peak: less counts as nothing, as denormal numbers take fifty times as long


def repainted(
    images: Tensor,
    generator: torch.Generator,
    *,
    stroke: float,
    blur: float,
    paper: float,
    noise: float,
    inversion: float,
    probability: float,
) -> Tensor:
    """Return changed copies of ``images``: uint8, (N, C, H, W), same shape and device.

    Strokes come first, inversion last. ``stroke``: pixels, uniform in ±; ``blur`` and ``noise``:
    standard deviations in pixels and grey levels, uniform from 0; ``paper``: uniform from 0; each
    of these four with ``probability``, independently. ``inversion`` is a probability of its own.
    All random numbers come from ``generator``.
    """
    source = generator.device
    draws = torch.rand(_DRAWS, len(images), generator=generator, device=source).to(images.device)
    amounts = draws[:4] * (draws[6:10] < probability)
    pixels = images.float()
    if stroke:
        pixels = widened(images, amounts[0] * torch.where(draws[5] < 0.5, -stroke, stroke))
    if blur:
        pixels = blurred(pixels, amounts[1] * blur)
    if paper:
        pixels = on_paper(pixels, amounts[2] * paper, draws[10:].T)
    if noise:
        normal = torch.randn(images.shape, generator=generator, device=source).to(images.device)
        pixels = pixels + normal * _each(amounts[3] * noise)
    if inversion:
        pixels = torch.where(_each(draws[4]) < inversion, 255 - pixels, pixels)
    return pixels.round_().clamp_(0, 255).to(torch.uint8)


def widened(pixels: Tensor, wider: Tensor) -> Tensor:
    """Make strokes wider by about ``wider`` pixels, (N,), −2 to 2; narrower below 0.

    A blend of the image with its grey dilation, or erosion, by 3×3 pixels, which moves each edge of
    a stroke by one. Strokes that it would erase fade instead. ``pixels`` may also be uint8, which
    is faster.
    """
    share = _each(wider) / 2
    grown = _over_3x3(pixels, torch.maximum).float()
    shrunk = _over_3x3(pixels, torch.minimum).float()
    return pixels.float().lerp(torch.where(share > 0, grown, shrunk), share.abs())


def _over_3x3(pixels: Tensor, extreme: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Return the greatest or least of each pixel and its eight neighbours, those in the image.

    What pooling does, in a fraction of its time on a CPU.
    """
    tall = pixels.clone()
    tall[..., 1:, :] = extreme(tall[..., 1:, :], pixels[..., :-1, :])
    tall[..., :-1, :] = extreme(tall[..., :-1, :], pixels[..., 1:, :])
    wide = tall.clone()
    wide[..., 1:] = extreme(wide[..., 1:], tall[..., :-1])
    wide[..., :-1] = extreme(wide[..., :-1], tall[..., 1:])
    return wide


def blurred(pixels: Tensor, sigma: Tensor) -> Tensor:
    """Blur with Gaussians of standard deviation ``sigma`` pixels, (N,); outside there is nothing.

    Each is two small matrix products, along the rows and along the columns.
    """
    across = _along_the_last(pixels, sigma)
    return _along_the_last(across.transpose(2, 3), sigma).transpose(2, 3)


def _along_the_last(pixels: Tensor, sigma: Tensor) -> Tensor:
    weights = _gaussians(sigma, pixels.shape[3])
    return torch.bmm(pixels.flatten(1, 2), weights).view(pixels.shape)


def _gaussians(sigma: Tensor, length: int) -> Tensor:
    """Return (N, length, length): the weight of each pixel in each of the blurred ones."""
    offsets = torch.arange(1 - length, length, device=sigma.device)
    bell = torch.exp(-0.5 * (offsets / sigma.clamp(min=_SHARP)[:, None]) ** 2)
    bell = F.threshold(bell, _FAINT, 0.0)
    bell = bell / bell.sum(dim=1, keepdim=True)
    return bell.unfold(1, length, 1).flip(1).contiguous()


def on_paper(pixels: Tensor, strength: Tensor, corners: Tensor) -> Tensor:
    """Lay the ink on paper in uneven light, paler, and return the negative of what is seen.

    ``strength``: 0 to 1, (N,); at 1 ink has half its darkness. ``corners``: 0 to 1, (N, 4), the
    shares of the most that light can lose (half of it, at strength 1) at each corner; in between
    it is bilinear.
    """
    size = pixels.shape[-2:]
    loss = F.interpolate(corners.view(-1, 1, 2, 2), size, mode="bilinear", align_corners=True)
    each = _each(strength)
    light = 1 - DIM * each * loss
    return 255 - light * (255 - (1 - PALE * each) * pixels)


def _each(values: Tensor) -> Tensor:
    """Return (N, 1, 1, 1) from (N,)."""
    return values.view(-1, 1, 1, 1)
