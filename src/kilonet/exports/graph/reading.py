"""What is known of the values of an ONNX graph while it is read, and the list that grows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt

from kilonet.exports.graph.operators import Operator, Shape

Constant = npt.NDArray[Any]


@dataclass(frozen=True)
class Tensor:
    """A value that depends on the picture: its name in the list, its shape with the batch of 1."""

    name: str
    shape: Shape

    @property
    def picture(self) -> Shape:
        """The shape without the batch; what has no batch in front is one picture's already."""
        batched = len(self.shape) > 1 and self.shape[0] == 1
        return self.shape[1:] if batched else self.shape


Value = Tensor | Constant


@dataclass
class GraphBuilder:
    """The values known so far, by ONNX's names, and the operators that made them."""

    values: dict[str, Value]
    operators: list[Operator] = field(default_factory=list)

    def add(
        self, kind: type[Operator], output: str, shape: Shape, *sources: Tensor, **rest: Any
    ) -> Tensor:
        """Append an operator whose output has the ONNX shape ``shape``; return that value."""
        made = Tensor(output, shape)
        names = tuple(source.name for source in sources)
        self.operators.append(kind(output=output, sources=names, shape=made.picture, **rest))
        return made
