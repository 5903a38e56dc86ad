"""What every network here offers besides ``forward``: its size, and a printed summary."""

from __future__ import annotations

from torch import nn

from kilonet.errors import RecipeError
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

    def count_parameters(self) -> int:
        """Return how many numbers the deployed network stores, BN's running statistics exempt."""
        return count_parameters(self)

    def print_model_summary(self) -> None:
        """Print the layer table with parameters, multiply-accumulates and memory."""
        from kilonet.models.summary import summary_text

        print(summary_text(self, self.input_shape, type(self).__name__))  # noqa: T201
