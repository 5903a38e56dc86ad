"""What every network here offers besides ``forward``: its size, a summary, kernels for training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from kilonet.errors import RecipeError
from kilonet.kernels.trunk import Trunk
from kilonet.models.compiling import can_evaluate, can_take, trunk_of
from kilonet.models.measure import count_parameters


class Network(nn.Module):
    """An image classifier: float32 images N×C×H×W, normalised, to float32 logits N×K.

    ``input_shape`` is (C, H, W) of the images it was made for; ``num_classes`` is K.
    ``smallest_side`` is the least height and width that its poolings leave anything of.

    Raises:
        RecipeError: the images are smaller than that.
    """

    smallest_side = 1

    def __init__(self, input_shape: tuple[int, int, int] = (1, 28, 28), num_classes: int = 10):
        super().__init__()
        _, height, width = input_shape
        if min(height, width) < self.smallest_side:
            raise RecipeError(
                f"{type(self).__name__} needs images of at least "
                f"{self.smallest_side}×{self.smallest_side} pixels; these are {height}×{width}. "
                "Choose another network or data set."
            )
        self.input_shape = input_shape
        self.num_classes = num_classes
        self._trunk: Trunk | None = None
        self._evaluates = False

    def blocks(self) -> Sequence[nn.Module]:
        """Return the modules that images pass one after another, up to the network's head."""
        return ()

    def compile_blocks(self, *, evaluation: bool = False) -> bool:
        """Train ``blocks`` by our own kernels from now on; return False where those cannot.

        They take over in training on the CPU, and compute the same to rounding. With ``evaluation``
        they do in evaluation too, as long as no gradient is wanted; what is measured and told of a
        network is PyTorch's, so that is for looks at it on the way.
        """
        self._trunk = trunk_of(self.blocks(), self.input_shape)
        self._evaluates = evaluation
        return self.has_compiled_blocks

    @property
    def has_compiled_blocks(self) -> bool:
        """Whether training uses our own kernels."""
        return self._trunk is not None

    def past_blocks(self, x: torch.Tensor) -> torch.Tensor:
        """Return what ``blocks`` make of ``x``, float32 images N×C×H×W."""
        if self._trunk is not None:
            if self.training and can_take(x):
                return self._trunk(x)
            if self._evaluates and not self.training and can_evaluate(x):
                return self._trunk.evaluated(x)
        for block in self.blocks():
            x = block(x)
        return x

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy of the network is made of: its own modules, not another's kernels."""
        return {**self.__dict__, "_trunk": None}

    def count_parameters(self) -> int:
        """Return how many numbers the deployed network stores, BN's running statistics exempt."""
        return count_parameters(self)

    def print_model_summary(self) -> None:
        """Print the layer table with parameters, multiply-accumulates and memory."""
        from kilonet.models.summary import summary_text

        print(summary_text(self, self.input_shape, type(self).__name__))  # noqa: T201
