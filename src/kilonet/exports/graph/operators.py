"""The typed operator graph that every export except ONNX starts from.

``lower.lower`` creates it from an ONNX file: batch norm is folded, weights are NumPy arrays, shapes
are known, and there is one image at a time. The graph is a list of operators in topological order
with named values. Skip connections need no special case, and a target has to support fifteen
small classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from kilonet.errors import KilonetError
from kilonet.metadata import INK, classes_of, preparation_of

FloatArray = npt.NDArray[np.float32]
Shape = tuple[int, ...]
"""(C, H, W) of a feature map or (N,) of a vector: one image, no batch."""

Pair = tuple[int, int]
Padding = tuple[int, int, int, int]
"""(top, left, bottom, right)."""

IMAGE = "image"
LOGITS = "logits"
PROBABILITIES = "probabilities"


class UnsupportedOperatorError(KilonetError):
    """A network uses an operator that the graph or a target does not support."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Operator:
    """An operator that computes the value ``output``, of ``shape``, from the values ``sources``.

    Kinds without fields of their own inherit everything of a dataclass.
    """

    output: str
    sources: tuple[str, ...]
    shape: Shape

    @property
    def source(self) -> str:
        """The first input; most operators have only one."""
        return self.sources[0]


@dataclass(frozen=True, eq=False, kw_only=True)
class InputScaling(Operator):
    """Normalisation of pixels 0–255: times ``scale`` (C,), plus ``offset`` (C,)."""

    scale: FloatArray
    offset: FloatArray


@dataclass(frozen=True, eq=False, kw_only=True)
class Scale(Operator):
    """Each channel times ``scale`` (C,) plus ``offset`` (C,); lowering folds it into others."""

    scale: FloatArray
    offset: FloatArray


@dataclass(frozen=True, eq=False, kw_only=True)
class Conv2d(Operator):
    """Cross-correlation with ``weight`` (O, C/groups, KH, KW), zero padding, plus ``bias`` (O,).

    ``padding`` is (top, left, bottom, right). With ``relu`` negative results become 0.
    """

    weight: FloatArray
    bias: FloatArray
    stride: Pair = (1, 1)
    padding: Padding = (0, 0, 0, 0)
    groups: int = 1
    relu: bool = False

    @property
    def kernel(self) -> Pair:
        """(KH, KW)."""
        return self.weight.shape[2], self.weight.shape[3]

    @property
    def depthwise(self) -> bool:
        """Whether each filter has one input channel and one output channel."""
        return bool(self.weight.shape[1] == 1 and self.groups == self.weight.shape[0])


@dataclass(frozen=True, eq=False, kw_only=True)
class Linear(Operator):
    """``weight`` (O, N) times a vector (N,), plus ``bias`` (O,); ``relu`` as in Conv2d."""

    weight: FloatArray
    bias: FloatArray
    relu: bool = False


@dataclass(frozen=True, eq=False, kw_only=True)
class MaxPool(Operator):
    """The largest value in each window; padding (top, left, bottom, right) is ignored."""

    kernel: Pair
    stride: Pair
    padding: Padding = (0, 0, 0, 0)


@dataclass(frozen=True, eq=False, kw_only=True)
class AvgPool(Operator):
    """The mean of each window; there is no padding."""

    kernel: Pair
    stride: Pair


class GlobalAvgPool(Operator):
    """The mean of each channel: (C, H, W) to (C, 1, 1)."""


class ReLU(Operator):
    """max(x, 0), if it could not be fused with the operator before it."""


@dataclass(frozen=True, eq=False, kw_only=True)
class LeakyReLU(Operator):
    """x if positive, else ``slope`` times x."""

    slope: float


class SiLU(Operator):
    """x / (1 + exp(−x))."""


class Sigmoid(Operator):
    """1 / (1 + exp(−x))."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Add(Operator):
    """The sum of two values of the same shape; ``relu`` as in Conv2d."""

    relu: bool = False


class Mul(Operator):
    """The product of two values of the same shape, or of (C, H, W) and (C, 1, 1)."""


class Concat(Operator):
    """Concatenation along the channels, or along a vector."""


class Flatten(Operator):
    """The same values as a vector, in the order channel, row, column."""


class Reshape(Operator):
    """The same values in another shape, in the order channel, row, column."""


class Softmax(Operator):
    """exp(x) / Σ exp(x) over a vector."""


Pointwise = ReLU | LeakyReLU | SiLU | Sigmoid
Pool = MaxPool | AvgPool | GlobalAvgPool
View = Flatten | Reshape


@dataclass(frozen=True, eq=False)
class Graph:
    """A network from "image" (uint8, of shape ``image``) to "logits" and "probabilities".

    ``metadata`` comes from the ONNX file.
    """

    image: Shape
    operators: tuple[Operator, ...]
    metadata: Mapping[str, str] = field(default_factory=dict)

    def shape(self, value: str) -> Shape:
        """Return the shape of a value."""
        if value == IMAGE:
            return self.image
        return next(op.shape for op in self.operators if op.output == value)

    def users(self, value: str) -> list[Operator]:
        """Return the operators that read ``value``."""
        return [op for op in self.operators if value in op.sources]

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names in the order of the logits, from the metadata; numbers if it has none."""
        return classes_of(self.metadata, self.shape(LOGITS)[0])

    @property
    def frames_ink(self) -> bool:
        """Whether images are cropped and centred like MNIST; otherwise they are only resized."""
        return preparation_of(self.metadata, self.image) == INK

    def require(self, known: tuple[type[Operator], ...], target: str) -> None:
        """Check that ``target``, which supports ``known``, supports all operators of the graph."""
        lacking = sorted({type(op).__name__ for op in self.operators if not isinstance(op, known)})
        if lacking:
            raise UnsupportedOperatorError(
                f"The target {target} lacks the operators that this network uses: "
                f"{', '.join(lacking)}. Export it to another target."
            )
