"""The grid that robustness is measured on: kinds of distortion, their strengths and units.

A figure over this grid is comparable only with figures over the same one: changing it changes what
"robustness" means, and ``docs/robustness.md`` with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias
from zlib import crc32

import numpy as np

from kilonet.evaluation.distortions import geometry, light, pen
from kilonet.evaluation.distortions.pixels import Images

SEED = 0
"""Of all distortions' randomness."""

Distortion: TypeAlias = Callable[[Images, float, np.random.Generator], Images]


@dataclass(frozen=True)
class Kind:
    """One kind of distortion, ``apply``, and the strengths at which it is measured.

    At the strength ``nothing`` it would change nothing. ``unit`` is empty where there is none.
    """

    name: str
    unit: str
    strengths: tuple[float, ...]
    apply: Distortion
    nothing: float = 0.0


KINDS = (
    Kind("shift", "pixels", (1, 2, 3, 4), geometry.shifted),
    Kind("scale", "factor", (0.5, 0.7, 1.2, 1.4), geometry.scaled, nothing=1.0),
    Kind("rotation", "degrees", (10, 20, 30, 45), geometry.rotated),
    Kind("stroke width", "pixels", (-1, 1, 2, 3), pen.widened),
    Kind("blur", "pixels (σ)", (0.5, 1, 1.5, 2), pen.blurred),
    Kind("noise", "grey levels (σ)", (25, 50, 75, 100), light.noisy),
    Kind("inversion", "", (1,), light.inverted),
    Kind("paper", "of the strongest", (0.25, 0.5, 0.75, 1), light.on_paper),
)


def distort(kind: Kind, strength: float, images: Images) -> Images:
    """Return ``images``, uint8 (N, H, W), distorted; the same input always gives the same.

    What is drawn depends on the kind, the strength, and the number and size of the images alone.
    """
    rng = np.random.default_rng([SEED, crc32(kind.name.encode()), crc32(f"{strength:g}".encode())])
    return kind.apply(images, strength, rng)
