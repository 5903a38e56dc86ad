"""The typed list of operators that every export but ONNX itself is made from.

``lower.lower`` makes it from an ONNX file: batch norm folded, weights as NumPy arrays, shapes
known, one picture at a time. The whole form is a list in topological order with named values, so
that skip connections need nothing special and a target is a function of fifteen small classes.
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
"""(C, H, W) of a map or (N,) of a vector: one picture, no batch."""

IMAGE = "image"
LOGITS = "logits"
PROBABILITIES = "probabilities"


class UnsupportedOperatorError(KilonetError):
    """A network does something that the list, or a target, has no operator for."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Operator:
    """Makes the value ``output``, of ``shape``, out of the values ``sources``."""

    output: str
    sources: tuple[str, ...]
    shape: Shape

    @property
    def source(self) -> str:
        """The first, of most the only, value that it reads."""
        return self.sources[0]


@dataclass(frozen=True, eq=False, kw_only=True)
class InputScaling(Operator):
    """Pixels 0–255 to what the network sees: times ``scale`` (C,), plus ``offset`` (C,)."""

    scale: FloatArray
    offset: FloatArray


@dataclass(frozen=True, eq=False, kw_only=True)
class Scale(Operator):
    """Each channel times ``scale`` (C,) plus ``offset`` (C,): only while lowering, then folded."""

    scale: FloatArray
    offset: FloatArray


@dataclass(frozen=True, eq=False, kw_only=True)
class Conv2d(Operator):
    """Cross-correlation with ``weight`` (O, C/groups, KH, KW), zeros around, plus ``bias`` (O,).

    ``padding`` is (top, left, bottom, right); ``relu`` says that negative results become 0.
    """

    weight: FloatArray
    bias: FloatArray
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    groups: int = 1
    relu: bool = False

    @property
    def kernel(self) -> tuple[int, int]:
        """(KH, KW)."""
        return self.weight.shape[2], self.weight.shape[3]

    @property
    def depthwise(self) -> bool:
        """Whether each channel is filtered on its own."""
        return bool(self.weight.shape[1] == 1 and self.groups == self.weight.shape[0])


@dataclass(frozen=True, eq=False, kw_only=True)
class Linear(Operator):
    """``weight`` (O, N) times a vector (N,), plus ``bias`` (O,); ``relu`` as in Conv2d."""

    weight: FloatArray
    bias: FloatArray
    relu: bool = False


@dataclass(frozen=True, eq=False, kw_only=True)
class MaxPool(Operator):
    """The largest value under each window; padding (top, left, bottom, right) never wins."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)


@dataclass(frozen=True, eq=False, kw_only=True)
class AvgPool(Operator):
    """The mean under each window, all of which lie inside the map."""

    kernel: tuple[int, int]
    stride: tuple[int, int]


@dataclass(frozen=True, eq=False, kw_only=True)
class GlobalAvgPool(Operator):
    """The mean of each channel: (C, H, W) to (C, 1, 1)."""


@dataclass(frozen=True, eq=False, kw_only=True)
class ReLU(Operator):
    """max(x, 0), where it could not join what made x."""


@dataclass(frozen=True, eq=False, kw_only=True)
class LeakyReLU(Operator):
    """x, or ``slope`` times x below 0."""

    slope: float


@dataclass(frozen=True, eq=False, kw_only=True)
class SiLU(Operator):
    """x / (1 + exp(−x))."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Sigmoid(Operator):
    """1 / (1 + exp(−x))."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Add(Operator):
    """The sum of two values of one shape; ``relu`` as in Conv2d."""

    relu: bool = False


@dataclass(frozen=True, eq=False, kw_only=True)
class Mul(Operator):
    """The product of two values: of one shape, or the second (C, 1, 1) for each pixel's C."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Concat(Operator):
    """Its sources one after the other along the channels, or along a vector."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Flatten(Operator):
    """A vector of the same values, channel by channel, row by row."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Reshape(Operator):
    """The same values, channel by channel, row by row, in another shape."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Softmax(Operator):
    """exp(x) / Σ exp(x) over a vector."""


Pointwise = ReLU | LeakyReLU | SiLU | Sigmoid
Pool = MaxPool | AvgPool | GlobalAvgPool
View = Flatten | Reshape


@dataclass(frozen=True, eq=False)
class Graph:
    """A network: the values "image" (uint8, of the shape ``image``) to "logits", "probabilities".

    ``metadata`` is the ONNX file's.
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
        """The names of the classes, in the order of the logits: from the metadata, or numbers."""
        return classes_of(self.metadata, self.shape(LOGITS)[0])

    @property
    def frames_ink(self) -> bool:
        """Whether pictures' ink is framed as MNIST's was; otherwise they are scaled whole."""
        return preparation_of(self.metadata, self.image) == INK

    def require(self, known: tuple[type[Operator], ...], target: str) -> None:
        """Check that ``target`` has every operator that is used here.

        Raises:
            UnsupportedOperatorError: it lacks some; the message names them all.
        """
        lacking = sorted({type(op).__name__ for op in self.operators if not isinstance(op, known)})
        if lacking:
            raise UnsupportedOperatorError(
                f"The target {target} lacks the operators that this network uses: "
                f"{', '.join(lacking)}. Export it to another target."
            )
