"""Random changes to a whole batch at once, each image with its own parameters.

Angles, offsets and the like follow Pillow's conventions, which the tests use as the oracle:
positive angles turn counter-clockwise, about the image's centre; x grows to the right and y
downwards; pixels that come from outside the image are 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from kilonet.data.appearance import repainted
from kilonet.data.elastic import CONTROLS, displacements
from kilonet.errors import UsageError

Interpolation = Literal["nearest", "bilinear"]
_INTERPOLATIONS = get_args(Interpolation)

# Every call draws this many numbers per image, whatever is switched on: switching one
# transformation on or off leaves what the others draw unchanged.
_DRAWS = 6


@dataclass(frozen=True)
class Augmentation:
    """What is done to a training image; the default does nothing.

    ``rotation``: uniform in ± degrees. ``translation``: uniform in ± a fraction of the side, in x
    and y independently. ``scale``: a factor uniform in 1 ± scale. ``shear``: uniform in ± degrees,
    along x. ``elastic``: the root mean square, in pixels and per axis, of a smooth random
    displacement of every pixel. All of these are one resampling, filled with 0. Before it, each
    image is with ``crop_probability`` cut to its central ``crop`` × ``crop`` pixels and enlarged
    again (bilinear); None never crops. ``interpolation`` is that of the one resampling.

    Then each image is mirrored, left to right, with the probability ``flip``, and a square of
    ``erase`` pixels is blanked (Cutout: DeVries & Taylor 2017), its centre anywhere in the image.

    Afterwards grey levels change, as ``appearance.repainted`` says: ``stroke`` by pixels of width,
    ``blur`` and ``noise`` up to standard deviations in pixels and grey levels, ``paper`` up to a
    share of the strongest, each with ``appearance_probability``; ``inversion`` with its own.
    """

    rotation: float = 0.0
    translation: float = 0.0
    scale: float = 0.0
    shear: float = 0.0
    crop: int | None = None
    crop_probability: float = 1.0
    interpolation: Interpolation = "bilinear"
    elastic: float = 0.0
    flip: float = 0.0
    erase: int = 0
    stroke: float = 0.0
    blur: float = 0.0
    paper: float = 0.0
    noise: float = 0.0
    inversion: float = 0.0
    appearance_probability: float = 1.0

    def __post_init__(self) -> None:
        """Raise ``UsageError`` for a parameter outside its range."""
        self._require("rotation", 0 <= self.rotation <= 180, "0 to 180 degrees")
        self._require("translation", 0 <= self.translation <= 1, "0 to 1 of the side")
        self._require("scale", 0 <= self.scale < 1, "0 to below 1")
        self._require("shear", 0 <= self.shear < 90, "0 to below 90 degrees")
        self._require("crop", self.crop is None or self.crop >= 1, "1 pixel or more")
        self._require("crop_probability", 0 <= self.crop_probability <= 1, "0 to 1")
        self._require("elastic", self.elastic >= 0, "0 pixels or more")
        self._require("flip", 0 <= self.flip <= 1, "0 to 1")
        self._require("erase", self.erase >= 0, "0 pixels or more")
        self._require("stroke", 0 <= self.stroke <= 2, "0 to 2 pixels")
        self._require("blur", 0 <= self.blur <= 10, "0 to 10 pixels")
        self._require("paper", 0 <= self.paper <= 1, "0 to 1")
        self._require("noise", 0 <= self.noise <= 255, "0 to 255 grey levels")
        self._require("inversion", 0 <= self.inversion <= 1, "0 to 1")
        appearance = 0 <= self.appearance_probability <= 1
        self._require("appearance_probability", appearance, "0 to 1")
        self._require("interpolation", self.interpolation in _INTERPOLATIONS, "nearest or bilinear")

    def _require(self, name: str, holds: bool, expected: str) -> None:
        if not holds:
            value = getattr(self, name)
            raise UsageError(f"The augmentation's {name} is {value}; expected {expected}.")

    @property
    def is_identity(self) -> bool:
        """Whether images always come back as they were."""
        return not (self._resamples or self._crops or self._covers or self._repaints)

    @property
    def _resamples(self) -> bool:
        return any((self.rotation, self.translation, self.scale, self.shear, self.elastic))

    @property
    def _crops(self) -> bool:
        return self.crop is not None and self.crop_probability > 0

    @property
    def _covers(self) -> bool:
        return self.flip > 0 or self.erase > 0

    @property
    def _repaints(self) -> bool:
        changes = any((self.stroke, self.blur, self.paper, self.noise))
        return self.inversion > 0 or (changes and self.appearance_probability > 0)

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return changed copies of ``images``: uint8, (N, C, H, W), 0–255, same shape and device.

        All random numbers come from ``generator``, which may live on another device. The identity
        draws none and returns ``images`` themselves.
        """
        if self.is_identity:
            return images
        draws = torch.rand(_DRAWS, len(images), generator=generator, device=generator.device)
        if self.crop is not None and self._crops:
            chosen = torch.nonzero(draws[0] < self.crop_probability).squeeze(1)
            images = _crop_some(images, chosen.to(images.device), self.crop)
        if self._resamples:
            moved = self._displacements(images, generator) if self.elastic else None
            images = self._resample(images, (draws[1:] * 2 - 1).to(images.device), moved)
        if self._covers:
            # Drawn apart from the rest, whose numbers must stay what they were without these.
            draws = torch.rand(3, len(images), generator=generator, device=generator.device)
            images = self._cover(images, draws.to(images.device))
        if self._repaints:
            images = self._repaint(images, generator)
        return images

    def _cover(self, images: Tensor, uniform: Tensor) -> Tensor:
        """``uniform``: (3, N), in [0, 1)."""
        mirrored = (uniform[0] < self.flip).view(-1, 1, 1, 1)
        images = torch.where(mirrored, images.flip(3), images)
        return erased(images, uniform[1:], self.erase) if self.erase else images

    def _repaint(self, images: Tensor, generator: torch.Generator) -> Tensor:
        return repainted(
            images,
            generator,
            stroke=self.stroke,
            blur=self.blur,
            paper=self.paper,
            noise=self.noise,
            inversion=self.inversion,
            probability=self.appearance_probability,
        )

    def _displacements(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return the elastic displacements of every pixel, in pixels: (N, 2, H, W)."""
        shape = (len(images), 2, CONTROLS, CONTROLS)
        controls = torch.randn(shape, generator=generator, device=generator.device)
        return displacements(controls.to(images.device), *images.shape[-2:]) * self.elastic

    def _resample(self, images: Tensor, uniform: Tensor, moved: Tensor | None) -> Tensor:
        """``uniform``: (5, N), in [−1, 1)."""
        height, width = images.shape[-2:]
        offsets = [uniform[0] * self.translation * width, uniform[1] * self.translation * height]
        return affine(
            images,
            angle=uniform[2] * self.rotation,
            translate=torch.stack(offsets, dim=1),
            scale=1 + uniform[3] * self.scale,
            shear=uniform[4] * self.shear,
            interpolation=self.interpolation,
            moved=moved,
        )


def erased(images: Tensor, centres: Tensor, side: int) -> Tensor:
    """Blank a square of ``side`` pixels in each of ``images``: uint8, (N, C, H, W).

    ``centres``: (2, N), y and x in [0, 1) of height and width; what is outside is cut off.
    """
    masks = []
    for length, centre in zip(images.shape[-2:], centres, strict=True):
        first = (centre * length).floor() - side // 2
        place = torch.arange(length, device=images.device) - first[:, None]
        masks.append((place >= 0) & (place < side))
    covered = masks[0][:, None, :, None] & masks[1][:, None, None, :]
    return images.masked_fill(covered, 0)


def affine(
    images: Tensor,
    angle: Tensor,
    translate: Tensor,
    scale: Tensor,
    shear: Tensor,
    *,
    interpolation: Interpolation = "bilinear",
    moved: Tensor | None = None,
) -> Tensor:
    """Scale, then shear, then rotate each image about its centre, then move it; in one resampling.

    ``images``: uint8, (N, C, H, W). ``angle``: float, (N,), degrees counter-clockwise.
    ``translate``: float, (N, 2), pixels to the right and down. ``scale``: float, (N,), > 0; above
    1 enlarges. ``shear``: float, (N,), degrees; positive moves the lower half to the right.
    ``moved``: float, (N, 2, H, W), pixels to the right and down by which each pixel of the result
    looks elsewhere than these say. Returns uint8 of the same shape; bilinear values are rounded to
    the nearest grey level.
    """
    maps = _inverse_maps(angle, translate, scale, shear)
    height, width = images.shape[-2:]
    grid = _sampling_grid(maps, height, width)
    if moved is not None:
        grid += moved.permute(0, 2, 3, 1) * moved.new_tensor([2 / width, 2 / height])
    sampled = F.grid_sample(
        images.float(), grid, mode=interpolation, padding_mode="zeros", align_corners=False
    )
    return sampled.round_().to(torch.uint8)


def _inverse_maps(angle: Tensor, translate: Tensor, scale: Tensor, shear: Tensor) -> Tensor:
    """Return (N, 2, 3): from an output pixel to the input pixel it shows, both about the centre.

    Forward is ``R · K · s`` and a translation, so that the inverse is ``K⁻¹ · Rᵀ / s`` applied
    after taking the translation away. y points down, hence the sign of the sines.
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
    """Return where each output pixel looks: (N, H, W, 2), x and y, the image from −1 to 1.

    The same as ``affine_grid`` of maps in these units, at a third of its time on a CPU.
    """
    x = torch.arange(width, device=maps.device) - (width - 1) / 2
    y = torch.arange(height, device=maps.device) - (height - 1) / 2
    scaled = torch.stack([maps[:, 0] * (2 / width), maps[:, 1] * (2 / height)], dim=1)
    of_x, of_y, offset = scaled[:, None, None].unbind(dim=4)
    return of_x * x[:, None] + (of_y * y[:, None, None] + offset)


def _crop_some(images: Tensor, chosen: Tensor, side: int) -> Tensor:
    """Return ``images`` with those at the indices ``chosen`` cropped and enlarged."""
    changed = images.clone()
    changed[chosen] = crop_and_resize(images[chosen], side)
    return changed


def crop_and_resize(images: Tensor, side: int) -> Tensor:
    """Enlarge the central ``side`` × ``side`` pixels to the size of the image, bilinear.

    ``images``: uint8, (N, C, H, W); returns the same shape and type. Raises ``UsageError`` where
    the image is smaller than that.
    """
    height, width = images.shape[-2:]
    if not 1 <= side <= min(height, width):
        raise UsageError(
            f"The augmentation's crop is {side} pixels; the images are {height}×{width}. "
            "Choose a crop no larger than the image, or switch it off."
        )
    top, left = (height - side) // 2, (width - side) // 2
    centre = images[..., top : top + side, left : left + side].float()
    large = F.interpolate(centre, size=(height, width), mode="bilinear", align_corners=False)
    return large.round_().to(torch.uint8)
