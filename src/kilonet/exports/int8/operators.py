"""The operators of a network in 8-bit integers.

Values are unsigned bytes q that represent scale · (q − zero point) (Jacob et al. 2018,
"Quantization and training of neural networks for efficient integer-arithmetic-only inference",
CVPR). They are unsigned because pixels already are bytes and the output of a ReLU has no sign.
Weights are int8 and symmetric with a scale for each output channel, and sums are int32. Logits are
int16, because bytes would give equal logits to classes that are close.

Two steps, in integers of at most 64 bits, turn a sum into a value:

1. ``v = (sum · multiplier + offset · 2^offset_shift + 2^(shift−1)) >> shift``, rounding half up.
   The weights' scales are chosen so that a 16-bit ``multiplier`` is exact. ``offset`` contains the
   bias.
2. ``Requantisation``: v plus the zero point, clipped to a byte, which includes ReLU. For other
   activations, v in 1024ths goes through a shared table of the sigmoid and is scaled once more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from kilonet.exports.graph.operators import Operator, Padding, Pair, Shape

FRACTION_BITS = 10
"""The argument of an activation is in units of 2^−10, clipped to int16: −32 to 32."""

ONE = 1 << 15
"""The integer for 1 in the table of the sigmoid and in LeakyReLU's slope."""

TABLE_STEP = 6
"""The table has an entry every 2^6 of those units, 1/16, from 0 to 8."""

SIGMOID = np.rint(ONE / (1 + np.exp(-np.arange(129) / 16))).astype(np.uint16)
"""The sigmoid at 0, 1/16, … 8. Others are interpolated; below 0 it is 1 − sigmoid(−x)."""


@dataclass(frozen=True)
class Encoding:
    """The numbers that integers represent: q is ``scale`` · (q − ``zero_point``) + ``residual``.

    With ``divisors``, whole numbers up to 255, each channel has its own scale, ``scale`` / divisor.
    A channel of small values, which the next layer may amplify, then has as many levels as one of
    large values. Values are uint8, or int16 if ``is_int16``. Only the image has a ``residual``,
    because its bytes are given; the layer that reads the image adds it to its bias.
    """

    scale: float
    zero_point: int
    is_int16: bool = False
    residual: float = 0.0
    divisors: tuple[int, ...] = ()


Activation = Literal["none", "silu", "sigmoid", "leaky_relu"]


@dataclass(frozen=True)
class Requantisation:
    """The second step: from v to the stored value, between ``low`` and ``high``.

    Without an activation it adds ``zero_point``. With one, the result is multiplied by
    ``multiplier``, shifted right by ``shift``, and ``zero_point`` is added; ``slope`` is
    LeakyReLU's, in 1/ONE. ``divisors`` are each channel's factor of the multiplier, 1 if empty.
    """

    zero_point: int
    low: int = 0
    high: int = 255
    activation: Activation = "none"
    multiplier: int = 0
    shift: int = 1
    slope: int = 0
    divisors: tuple[int, ...] = ()

    @property
    def is_int16(self) -> bool:
        """Whether the value is int16."""
        return self.low < 0


@dataclass(frozen=True, eq=False, kw_only=True)
class QuantisedWeights:
    """int8 ``weight``, output channel first; uint16 ``multiplier`` and int16 ``offset`` of each."""

    weight: npt.NDArray[np.int8]
    multiplier: npt.NDArray[np.uint16]
    offset: npt.NDArray[np.int16]
    offset_shift: int
    shift: int


@dataclass(frozen=True, eq=False, kw_only=True)
class QuantisedOperator(Operator):
    """An operator that requantises its sums."""

    requantisation: Requantisation


@dataclass(frozen=True, eq=False, kw_only=True)
class QConv2d(QuantisedOperator):
    """Convolution of (q − ``zero_point``), with the geometry of the float operator."""

    weights: QuantisedWeights
    zero_point: int
    stride: Pair
    padding: Padding
    groups: int

    @property
    def kernel(self) -> Pair:
        """(KH, KW)."""
        return self.weights.weight.shape[2], self.weights.weight.shape[3]

    @property
    def depthwise(self) -> bool:
        """Whether each filter has one input channel and one output channel."""
        shape = self.weights.weight.shape
        return bool(shape[1] == 1 and self.groups == shape[0])


@dataclass(frozen=True, eq=False, kw_only=True)
class QLinear(QuantisedOperator):
    """A matrix times (q − ``zero_point``)."""

    weights: QuantisedWeights
    zero_point: int


@dataclass(frozen=True, eq=False, kw_only=True)
class QSum(QuantisedOperator):
    """The sum of two values: Σ (qᵢ − zero pointᵢ) · multiplierᵢ, shifted."""

    zero_points: tuple[int, int]
    multipliers: tuple[int, int]
    shift: int


@dataclass(frozen=True, eq=False, kw_only=True)
class QProduct(QuantisedOperator):
    """(q₁ − zero point₁)(q₂ − zero point₂) · multiplier, shifted; q₂ may be one per channel."""

    zero_points: tuple[int, int]
    multiplier: int
    shift: int


@dataclass(frozen=True, eq=False, kw_only=True)
class QMean(QuantisedOperator):
    """The sum of (q − zero point) in each window · multiplier, shifted.

    The ``kernel`` of a global mean covers the whole map.
    """

    kernel: Pair
    stride: Pair
    zero_point: int
    multiplier: int
    shift: int


@dataclass(frozen=True, eq=False, kw_only=True)
class QActivation(QuantisedOperator):
    """An activation that is not fused: (q − zero point) · multiplier, shifted and requantised.

    There is one multiplier, or one for each channel.
    """

    zero_point: int
    multipliers: tuple[int, ...]
    shift: int


@dataclass(frozen=True, eq=False, kw_only=True)
class QConcat(QuantisedOperator):
    """(qᵢ − zero pointᵢ) · multiplierᵢ of each source, shifted, concatenated along the channels."""

    zero_points: tuple[int, ...]
    multipliers: tuple[int, ...]
    shift: int


@dataclass(frozen=True, eq=False)
class QuantisedGraph:
    """A network in integers, from pixels to int16 "logits".

    MaxPool, Flatten and Reshape are those of the float graph. ``encodings`` are by value.
    """

    image: Shape
    operators: tuple[Operator, ...]
    encodings: Mapping[str, Encoding]
    metadata: Mapping[str, str]
    classes: tuple[str, ...]
