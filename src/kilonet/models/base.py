"""The base class of all networks: size, summary, compiled kernels for training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from kilonet.errors import RecipeError
from kilonet.kernels.chain import FusedChain
from kilonet.models.compiling import can_evaluate, can_train, fuse
from kilonet.models.measure import count_parameters
from kilonet.recipe.families import Model


class Network(nn.Module):
    """An image classifier: normalised float32 images N×C×H×W to float32 logits N×K.

    ``input_shape`` is (C, H, W) of the images, ``num_classes`` is K. ``smallest_side`` is the
    smallest height and width that the poolings do not shrink to nothing.

    Raises:
        RecipeError: the images are smaller than that.
    """

    smallest_side = 1
    section: Model | None = None
    """The recipe's section that the network was built from, if it was."""

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
        self._chain: FusedChain | None = None
        self._compiled_evaluation = False

    def blocks(self) -> Sequence[nn.Module]:
        """Return the modules before the network's head, in the order in which images pass them."""
        return ()

    def compile_blocks(self, *, evaluation: bool = False) -> bool:
        """Train ``blocks`` with the compiled kernels from now on; return whether they support it.

        The kernels work on the CPU and equal PyTorch up to rounding. With ``evaluation`` they also
        evaluate when no gradient is needed. That is for the validation after each epoch; reported
        results come from PyTorch.
        """
        self._chain = fuse(self.blocks(), self.input_shape)
        self._compiled_evaluation = evaluation
        return self.has_compiled_blocks

    @property
    def has_compiled_blocks(self) -> bool:
        """Whether training uses the compiled kernels."""
        return self._chain is not None

    def apply_blocks(self, x: torch.Tensor) -> torch.Tensor:
        """Apply ``blocks`` to float32 images N×C×H×W."""
        if self._chain is not None:
            if self.training and can_train(x):
                return self._chain(x)
            if self._compiled_evaluation and not self.training and can_evaluate(x):
                return self._chain.evaluate(x)
        for block in self.blocks():
            x = block(x)
        return x

    def __getstate__(self) -> dict[str, Any]:
        """Return the state for copies and pickles, without the chain, which refers to modules."""
        return {**self.__dict__, "_chain": None}

    def count_parameters(self) -> int:
        """Return how many numbers the deployed network stores, without running statistics."""
        return count_parameters(self)

    def print_model_summary(self) -> None:
        """Print the layer table with parameters, multiply-accumulates and memory."""
        from kilonet.models.summary import summary_text

        print(summary_text(self, self.input_shape, type(self).__name__))  # noqa: T201
