"""Augmentation: random changes to a whole batch, each image with its own parameters.

``warp`` has the geometric changes, ``appearance`` those of grey levels.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kilonet.data.appearance import change_appearance
from kilonet.data.warp import (
    CONTROLS,
    Interpolation,
    affine,
    crop_and_resize,
    elastic_displacement,
    erased,
)

# Random numbers per image in every call. Their number does not depend on the options, so that one
# transformation does not change the random numbers of the others.
_RANDOM_NUMBERS = 6


@dataclass(frozen=True)
class Augmentation:
    """Random changes to training images; the default changes nothing. A recipe has the ranges.

    1. With ``crop_probability``, an image is cropped to its central ``crop`` × ``crop`` pixels and
       enlarged again (bilinear); None: no crop.
    2. One resampling with ``interpolation``, filled with 0. ``rotation``: uniform in ± degrees.
       ``translation``: uniform in ± a fraction of the side, independently in x and y. ``scale``: a
       factor uniform in 1 ± scale. ``shear``: uniform in ± degrees, along x. ``elastic``: the root
       mean square, in pixels per axis, of a smooth random displacement.
    3. An image is mirrored left to right with the probability ``flip``. A square of ``erase``
       pixels at a random position is set to 0 (Cutout: DeVries & Taylor 2017).
    4. Grey levels change, see ``change_appearance``: ``stroke`` in pixels of width; ``blur`` and
       ``noise`` up to standard deviations in pixels and grey levels; ``paper`` up to a strength;
       each with ``appearance_probability``. ``inversion`` is a probability.
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

    @property
    def is_identity(self) -> bool:
        """Whether images never change."""
        return not (
            self._resamples or self._crops or self._flips_or_erases or self._changes_appearance
        )

    @property
    def _resamples(self) -> bool:
        return any((self.rotation, self.translation, self.scale, self.shear, self.elastic))

    @property
    def _crops(self) -> bool:
        return self.crop is not None and self.crop_probability > 0

    @property
    def _flips_or_erases(self) -> bool:
        return self.flip > 0 or self.erase > 0

    @property
    def _changes_appearance(self) -> bool:
        changes = any((self.stroke, self.blur, self.paper, self.noise))
        return self.inversion > 0 or (changes and self.appearance_probability > 0)

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return changed copies of ``images``: uint8, (N, C, H, W), 0–255, same shape and device.

        All random numbers come from ``generator``, which may be on another device. The identity
        uses none and returns ``images`` themselves.
        """
        if self.is_identity:
            return images
        random = torch.rand(
            _RANDOM_NUMBERS, len(images), generator=generator, device=generator.device
        )
        if self.crop is not None and self._crops:
            chosen = torch.nonzero(random[0] < self.crop_probability).squeeze(1)
            images = _crop_some(images, chosen.to(images.device), self.crop)
        if self._resamples:
            displacement = self._displacement(images, generator) if self.elastic else None
            uniform = (random[1:] * 2 - 1).to(images.device)
            images = self._resample(images, uniform, displacement)
        if self._flips_or_erases:
            # Extra random numbers: flip and erase must not change those of the other options.
            random = torch.rand(3, len(images), generator=generator, device=generator.device)
            images = self._flip_and_erase(images, random.to(images.device))
        if self._changes_appearance:
            images = self._change_appearance(images, generator)
        return images

    def _flip_and_erase(self, images: Tensor, uniform: Tensor) -> Tensor:
        """Flip and erase; ``uniform``: (3, N), in [0, 1)."""
        mirrored = (uniform[0] < self.flip).view(-1, 1, 1, 1)
        images = torch.where(mirrored, images.flip(3), images)
        return erased(images, uniform[1:], self.erase) if self.erase else images

    def _change_appearance(self, images: Tensor, generator: torch.Generator) -> Tensor:
        return change_appearance(
            images,
            generator,
            stroke=self.stroke,
            blur=self.blur,
            paper=self.paper,
            noise=self.noise,
            inversion=self.inversion,
            probability=self.appearance_probability,
        )

    def _displacement(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return the elastic displacement of every pixel, in pixels: (N, 2, H, W)."""
        shape = (len(images), 2, CONTROLS, CONTROLS)
        controls = torch.randn(shape, generator=generator, device=generator.device)
        return elastic_displacement(controls.to(images.device), *images.shape[-2:]) * self.elastic

    def _resample(self, images: Tensor, uniform: Tensor, displacement: Tensor | None) -> Tensor:
        """Apply the geometric changes; ``uniform``: (5, N), in [−1, 1)."""
        height, width = images.shape[-2:]
        offsets = [uniform[0] * self.translation * width, uniform[1] * self.translation * height]
        return affine(
            images,
            angle=uniform[2] * self.rotation,
            translate=torch.stack(offsets, dim=1),
            scale=1 + uniform[3] * self.scale,
            shear=uniform[4] * self.shear,
            interpolation=self.interpolation,
            displacement=displacement,
        )


def _crop_some(images: Tensor, chosen: Tensor, side: int) -> Tensor:
    """Return ``images`` with those at the indices ``chosen`` cropped and enlarged."""
    changed = images.clone()
    changed[chosen] = crop_and_resize(images[chosen], side)
    return changed
