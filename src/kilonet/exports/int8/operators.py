"""The operators of a network in 8-bit integers, and the one way in which sums become values.

Values are unsigned bytes q that stand for scale · (q − zero) (Jacob et al. 2018, "Quantization and
training of neural networks for efficient integer-arithmetic-only inference", CVPR). Bytes, not
signed ones, because pixels are bytes already and what follows a ReLU needs no sign. Weights are
int8 and symmetric, with a scale for each output channel; sums are int32; logits are int16, since a
byte would make near misses equal.

A sum becomes a value in two steps, in integers of 64 bits at most:

1. ``v = (sum · multiplier + offset · 2^lift + 2^(shift−1)) >> shift``, rounding half up. The
   weights' scales are chosen such that 16 bits of ``multiplier`` are exact, hence no more of them;
   the bias is in ``offset``.
2. ``Requantisation``: v plus the zero point, clipped to a byte, which includes ReLU; or, for other
   activations, v in 1024ths through a shared table of the sigmoid, and scaled once more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from kilonet.exports.graph.operators import Operator, Shape

FRACTION_BITS = 10
"""A curved activation sees its argument in units of 2^−10, cut to int16: −32 to 32."""

ONE = 1 << 15
"""What stands for 1 in the table of the sigmoid and in LeakyReLU's slope."""

TABLE_STEP = 6
"""The table has an entry every 2^6 of those units, 1/16, from 0 to 8."""

SIGMOID = np.rint(ONE / (1 + np.exp(-np.arange(129) / 16))).astype(np.uint16)
"""The sigmoid at 0, 1/16, … 8; between them it is interpolated, below 0 it is 1 − sigmoid(−x)."""


@dataclass(frozen=True)
class Encoding:
    """What a stored number q stands for: ``scale`` · (q − ``zero``) + ``residual``.

    Where channels have ``parts``, whole numbers up to 255, ``scale`` / part is each channel's own:
    a quiet channel, which the next layer may amplify, then has as many levels as a loud one.
    ``wide`` values are int16, the others uint8. A ``residual`` there is only in the image, whose
    bytes are given; the layer that reads it takes it into its bias.
    """

    scale: float
    zero: int
    wide: bool = False
    residual: float = 0.0
    parts: tuple[int, ...] = ()


Curve = Literal["line", "silu", "sigmoid", "leaky"]


@dataclass(frozen=True)
class Requantisation:
    """The second step: from v to the stored value, between ``low`` and ``high``.

    A "line" adds ``zero``. The curves multiply by ``multiplier``, shift right by ``shift`` and add
    ``zero``; ``slope`` is LeakyReLU's, in 1/ONE. ``parts`` are the channels' own factors of the
    multiplier, none for 1.
    """

    zero: int
    low: int = 0
    high: int = 255
    curve: Curve = "line"
    multiplier: int = 0
    shift: int = 1
    slope: int = 0
    parts: tuple[int, ...] = ()

    @property
    def wide(self) -> bool:
        """Whether the value needs int16."""
        return self.low < 0


@dataclass(frozen=True, eq=False, kw_only=True)
class QuantisedWeights:
    """``weight`` int8, output channel first; ``multiplier`` uint16, ``offset`` int16 for each."""

    weight: npt.NDArray[np.int8]
    multiplier: npt.NDArray[np.uint16]
    offset: npt.NDArray[np.int16]
    lift: int
    shift: int


@dataclass(frozen=True, eq=False, kw_only=True)
class QuantisedOperator(Operator):
    """An operator whose sums are finished into stored values."""

    requantisation: Requantisation


@dataclass(frozen=True, eq=False, kw_only=True)
class QConv2d(QuantisedOperator):
    """Convolution of (q − ``zero``); the geometry is that of the float operator."""

    weights: QuantisedWeights
    zero: int
    stride: tuple[int, int]
    padding: tuple[int, int, int, int]
    groups: int

    @property
    def kernel(self) -> tuple[int, int]:
        """(KH, KW)."""
        return self.weights.weight.shape[2], self.weights.weight.shape[3]

    @property
    def depthwise(self) -> bool:
        """Whether each channel is filtered on its own."""
        shape = self.weights.weight.shape
        return bool(shape[1] == 1 and self.groups == shape[0])


@dataclass(frozen=True, eq=False, kw_only=True)
class QLinear(QuantisedOperator):
    """A matrix times (q − ``zero``)."""

    weights: QuantisedWeights
    zero: int


@dataclass(frozen=True, eq=False, kw_only=True)
class QSum(QuantisedOperator):
    """Σ (qᵢ − zeroᵢ) · multiplierᵢ, shifted: the sum of two values."""

    zeros: tuple[int, int]
    multipliers: tuple[int, int]
    shift: int


@dataclass(frozen=True, eq=False, kw_only=True)
class QProduct(QuantisedOperator):
    """(q₁ − zero₁)(q₂ − zero₂) · multiplier, shifted; the second may be one number a channel."""

    zeros: tuple[int, int]
    multiplier: int
    shift: int


@dataclass(frozen=True, eq=False, kw_only=True)
class QMean(QuantisedOperator):
    """The sum under each window, less its zeros, · multiplier, shifted.

    ``kernel`` covers the map for the global mean.
    """

    kernel: tuple[int, int]
    stride: tuple[int, int]
    zero: int
    multiplier: int
    shift: int


@dataclass(frozen=True, eq=False, kw_only=True)
class QActivation(QuantisedOperator):
    """(q − zero) · multiplier, shifted and finished: an activation that joined nothing.

    There is one multiplier, or one for each channel.
    """

    zero: int
    multipliers: tuple[int, ...]
    shift: int


@dataclass(frozen=True, eq=False, kw_only=True)
class QConcat(QuantisedOperator):
    """The sources (qᵢ − zeroᵢ) · multiplierᵢ, shifted, one after the other along the channels."""

    zeros: tuple[int, ...]
    multipliers: tuple[int, ...]
    shift: int


@dataclass(frozen=True, eq=False)
class QuantisedGraph:
    """A network in integers: pixels to int16 "logits"; MaxPool and the views are the float ones.

    ``encodings`` says what each value's numbers stand for.
    """

    image: Shape
    operators: tuple[Operator, ...]
    encodings: Mapping[str, Encoding]
    metadata: Mapping[str, str]
    classes: tuple[str, ...]
