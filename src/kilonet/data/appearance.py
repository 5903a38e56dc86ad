"""Random changes of grey levels in a batch: stroke width, blur, paper, noise, inversion.

All functions except ``change_appearance`` take and return float images, (N, C, H, W), 0–255, bright
ink on 0, and take one number per image.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

# Random numbers per image in every call: amounts, whether to apply each, the light in four corners.
# Their number does not depend on the options, so that one change does not affect the others.
_RANDOM_NUMBERS = 6 + 4 + 4

PALENESS, DIMMING = 0.5, 0.5  # largest shares of ink and light that are lost, at strength 1
_MIN_SIGMA = 1e-3  # pixels: a Gaussian this narrow changes nothing
_MIN_WEIGHT = 1e-9  # of the peak; smaller is 0, because denormal numbers are fifty times slower


def change_appearance(
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

    The changes are applied in the order of the arguments, inversion last. ``stroke``: pixels,
    uniform in ±; ``blur`` and ``noise``: standard deviations in pixels and grey levels, uniform
    from 0; ``paper``: uniform from 0; each with ``probability``, independently. ``inversion`` is a
    probability. All random numbers come from ``generator``.
    """
    source = generator.device
    random = torch.rand(_RANDOM_NUMBERS, len(images), generator=generator, device=source)
    random = random.to(images.device)
    amounts = random[:4] * (random[6:10] < probability)
    pixels = images.float()
    if stroke:
        pixels = widened(images, amounts[0] * torch.where(random[5] < 0.5, -stroke, stroke))
    if blur:
        pixels = blurred(pixels, amounts[1] * blur)
    if paper:
        pixels = on_paper(pixels, amounts[2] * paper, random[10:].T)
    if noise:
        normal = torch.randn(images.shape, generator=generator, device=source).to(images.device)
        pixels = pixels + normal * _each(amounts[3] * noise)
    if inversion:
        pixels = torch.where(_each(random[4]) < inversion, 255 - pixels, pixels)
    return pixels.round_().clamp_(0, 255).to(torch.uint8)


def widened(pixels: Tensor, wider: Tensor) -> Tensor:
    """Make strokes wider by about ``wider`` pixels, (N,), −2 to 2; negative: narrower.

    Blends the image with its 3×3 grey dilation or erosion, which moves each edge of a stroke by one
    pixel. Thin strokes fade instead of vanishing. ``pixels`` may also be uint8, which is faster.
    """
    share = _each(wider) / 2
    grown = _over_3x3(pixels, torch.maximum).float()
    shrunk = _over_3x3(pixels, torch.minimum).float()
    return pixels.float().lerp(torch.where(share > 0, grown, shrunk), share.abs())


def _over_3x3(pixels: Tensor, extreme: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Return the maximum or minimum of each pixel and its neighbours in the image.

    Equal to 3×3 pooling, in a fraction of its time on a CPU.
    """
    tall = pixels.clone()
    tall[..., 1:, :] = extreme(tall[..., 1:, :], pixels[..., :-1, :])
    tall[..., :-1, :] = extreme(tall[..., :-1, :], pixels[..., 1:, :])
    wide = tall.clone()
    wide[..., 1:] = extreme(wide[..., 1:], tall[..., :-1])
    wide[..., :-1] = extreme(wide[..., :-1], tall[..., 1:])
    return wide


def blurred(pixels: Tensor, sigma: Tensor) -> Tensor:
    """Blur with Gaussians of standard deviation ``sigma`` pixels, (N,); outside the image is 0.

    Two small matrix products: along the rows, then along the columns.
    """
    across = _blur_last_axis(pixels, sigma)
    return _blur_last_axis(across.transpose(2, 3), sigma).transpose(2, 3)


def _blur_last_axis(pixels: Tensor, sigma: Tensor) -> Tensor:
    weights = _gaussians(sigma, pixels.shape[3])
    return torch.bmm(pixels.flatten(1, 2), weights).view(pixels.shape)


def _gaussians(sigma: Tensor, length: int) -> Tensor:
    """Return (N, length, length): the weight of each pixel in each blurred pixel."""
    offsets = torch.arange(1 - length, length, device=sigma.device)
    bell = torch.exp(-0.5 * (offsets / sigma.clamp(min=_MIN_SIGMA)[:, None]) ** 2)
    bell = F.threshold(bell, _MIN_WEIGHT, 0.0)
    bell = bell / bell.sum(dim=1, keepdim=True)
    return bell.unfold(1, length, 1).flip(1).contiguous()


def on_paper(pixels: Tensor, strength: Tensor, corners: Tensor) -> Tensor:
    """Simulate paler ink on paper in uneven light; return the negative of the picture.

    ``strength``: 0 to 1, (N,); at 1 ink has half its darkness. ``corners``: 0 to 1, (N, 4), how
    much of the largest loss (half of the light, at strength 1) each corner has; bilinear in
    between.
    """
    size = pixels.shape[-2:]
    loss = F.interpolate(corners.view(-1, 1, 2, 2), size, mode="bilinear", align_corners=True)
    each = _each(strength)
    light = 1 - DIMMING * each * loss
    return 255 - light * (255 - (1 - PALENESS * each) * pixels)


def _each(values: Tensor) -> Tensor:
    """Return (N, 1, 1, 1) from (N,)."""
    return values.view(-1, 1, 1, 1)
