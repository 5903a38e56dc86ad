"""Geometric changes of a batch of images: affine maps, elastic displacement, crops, erasing.

Conventions are Pillow's, which the tests compare with: positive angles rotate counter-clockwise
about the image's centre; x grows to the right and y downwards; pixels from outside the image are 0.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from kilonet.errors import UsageError

Interpolation = Literal["nearest", "bilinear"]

CONTROLS = 7  # control points per side: four intervals in the image, one beyond each end


def affine(
    images: Tensor,
    angle: Tensor,
    translate: Tensor,
    scale: Tensor,
    shear: Tensor,
    *,
    interpolation: Interpolation = "bilinear",
    displacement: Tensor | None = None,
) -> Tensor:
    """Scale, shear and rotate each image about its centre, then translate it; one resampling.

    ``images``: uint8, (N, C, H, W). ``angle``: float, (N,), degrees counter-clockwise.
    ``translate``: float, (N, 2), pixels to the right and down. ``scale``: float, (N,), > 0; above
    1 enlarges. ``shear``: float, (N,), degrees; positive moves the lower half to the right.
    ``displacement``: float, (N, 2, H, W), is added to the source position of each output pixel, in
    pixels to the right and down. Returns uint8 of the same shape; bilinear values are rounded to
    the nearest grey level.
    """
    maps = _inverse_maps(angle, translate, scale, shear)
    height, width = images.shape[-2:]
    grid = _sampling_grid(maps, height, width)
    if displacement is not None:
        unit = displacement.new_tensor([2 / width, 2 / height])
        grid += displacement.permute(0, 2, 3, 1) * unit
    sampled = F.grid_sample(
        images.float(), grid, mode=interpolation, padding_mode="zeros", align_corners=False
    )
    return sampled.round_().to(torch.uint8)


def _inverse_maps(angle: Tensor, translate: Tensor, scale: Tensor, shear: Tensor) -> Tensor:
    """Return (N, 2, 3): maps from output to input pixels, both relative to the centre.

    The forward map is ``R · K · s`` and a translation; the inverse subtracts the translation, then
    applies ``K⁻¹ · Rᵀ / s``. y points down, hence the signs of the sines.
    """
    radians = torch.deg2rad(angle)
    cosine, sine = torch.cos(radians) / scale, torch.sin(radians) / scale
    slope = torch.tan(torch.deg2rad(shear))
    first = torch.stack([cosine - slope * sine, -sine - slope * cosine], dim=1)
    second = torch.stack([sine, cosine], dim=1)
    linear = torch.stack([first, second], dim=1)
    offset = -(linear @ translate.to(linear.dtype).unsqueeze(2))
    return torch.cat([linear, offset], dim=2)


def _sampling_grid(maps: Tensor, height: int, width: int) -> Tensor:
    """Return the source position of each output pixel: (N, H, W, 2), x and y from −1 to 1.

    Equal to ``affine_grid`` with maps in these units, in a third of its time on a CPU.
    """
    x = torch.arange(width, device=maps.device) - (width - 1) / 2
    y = torch.arange(height, device=maps.device) - (height - 1) / 2
    scaled = torch.stack([maps[:, 0] * (2 / width), maps[:, 1] * (2 / height)], dim=1)
    of_x, of_y, offset = scaled[:, None, None].unbind(dim=4)
    return of_x * x[:, None] + (of_y * y[:, None, None] + offset)


def elastic_displacement(controls: Tensor, height: int, width: int) -> Tensor:
    """Return a smooth random displacement of every pixel, float (N, 2, height, width).

    ``controls``: independent standard normal numbers, float (N, 2, ``CONTROLS``, ``CONTROLS``). The
    expected mean square of the result is 1.

    Simard et al., "Best practices for convolutional neural networks applied to visual document
    analysis" (2003), smooth the displacement with a Gaussian of about 4 pixels, and report it as
    the most useful augmentation for handwriting. Here the noise is on a coarse grid of control
    points, and a cubic B-spline interpolates it: two small matrix products per batch. A spline with
    knots 7 pixels apart smooths like that Gaussian.
    """
    rows = _spline_weights(height).to(controls)
    columns = _spline_weights(width).to(controls)
    power = rows.square().sum(1).mean() * columns.square().sum(1).mean()
    return rows @ controls @ columns.T / power.sqrt()


@lru_cache
def _spline_weights(length: int) -> Tensor:
    """Return (length, CONTROLS): the weight of each control point for each pixel; rows sum to 1.

    The uniform cubic B-spline; see de Boor, "A practical guide to splines" (1978).
    """
    intervals = CONTROLS - 3
    position = (torch.arange(length, dtype=torch.float64) + 0.5) * intervals / length
    distance = (position[:, None] - torch.arange(-1, CONTROLS - 1)).abs()
    near = 2 / 3 - distance**2 + distance**3 / 2
    far = (2 - distance).clamp(min=0) ** 3 / 6
    return torch.where(distance < 1, near, far).float()


def crop_and_resize(images: Tensor, side: int) -> Tensor:
    """Enlarge the central ``side`` × ``side`` pixels to the size of the image (bilinear).

    ``images``: uint8, (N, C, H, W); returns the same shape and dtype.
    """
    height, width = images.shape[-2:]
    if not 1 <= side <= min(height, width):
        raise UsageError(
            f"The augmentation's crop is {side} pixels; the images are {height}×{width}. "
            "Choose a crop that is no larger than the image, or turn it off."
        )
    top, left = (height - side) // 2, (width - side) // 2
    centre = images[..., top : top + side, left : left + side].float()
    large = F.interpolate(centre, size=(height, width), mode="bilinear", align_corners=False)
    return large.round_().to(torch.uint8)


def erased(images: Tensor, centres: Tensor, side: int) -> Tensor:
    """Set a square of ``side`` pixels to 0 in each of ``images``: uint8, (N, C, H, W).

    ``centres``: (2, N), y and x as fractions of height and width in [0, 1). Squares may extend
    beyond the image.
    """
    masks = []
    for length, centre in zip(images.shape[-2:], centres, strict=True):
        first = (centre * length).floor() - side // 2
        offset = torch.arange(length, device=images.device) - first[:, None]
        masks.append((offset >= 0) & (offset < side))
    covered = masks[0][:, None, :, None] & masks[1][:, None, None, :]
    return images.masked_fill(covered, 0)
