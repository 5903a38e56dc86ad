"""3×3 convolutions with 1×1 convolutions that compress or refine between them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from kilonet.models.base import Network
from kilonet.models.dropout import Dropout


class Stacked1x1(Network):
    """Four 3×3 convolutions, three 1×1 convolutions without a nonlinearity, one linear layer.

    ``batch_norm`` is that after each 3×3 convolution, ahead of its ReLU; ``dropout`` acts on what
    each of them hands on, past its pooling or 1×1 convolution. The log-softmax that
    often ends such a network belongs to the loss here: cross-entropy of the logits is the same
    function.
    """

    smallest_side = 4

    def __init__(
        self,
        batch_norm: bool = False,
        dropout: float = 0.0,
        input_shape: tuple[int, int, int] = (1, 28, 28),
        num_classes: int = 10,
    ) -> None:
        super().__init__(input_shape, num_classes)
        channels, height, width = input_shape
        self.conv1 = nn.Conv2d(channels, 8, 3, padding=1)
        self.pool1 = nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(8, 16, 3, padding=1)
        self.pool2 = nn.MaxPool2d(2)
        self.reduce = nn.Conv2d(16, 8, 1)
        self.conv3 = nn.Conv2d(8, 16, 3, padding=1)
        self.refine3 = nn.Conv2d(16, 16, 1)
        self.conv4 = nn.Conv2d(16, 32, 3, padding=1)
        self.refine4 = nn.Conv2d(32, 32, 1)
        self.classifier = nn.Linear(32 * (height // 4) * (width // 4), num_classes)
        for place, width_there in enumerate((8, 16, 16, 32), start=1):
            if batch_norm:
                self.add_module(f"norm{place}", nn.BatchNorm2d(width_there))
            if dropout > 0:
                self.add_module(f"drop{place}", Dropout(dropout))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return float32 logits N×K for float32 images N×C×H×W."""
        x = self._maybe("drop1", self.pool1(self._active(self.conv1(x), 1)))
        x = self._maybe("drop2", self.reduce(self.pool2(self._active(self.conv2(x), 2))))
        x = self._maybe("drop3", self.refine3(self._active(self.conv3(x), 3)))
        x = self._maybe("drop4", self.refine4(self._active(self.conv4(x), 4)))
        logits: torch.Tensor = self.classifier(torch.flatten(x, 1))
        return logits

    def _active(self, x: torch.Tensor, place: int) -> torch.Tensor:
        return F.relu(self._maybe(f"norm{place}", x))

    def _maybe(self, name: str, x: torch.Tensor) -> torch.Tensor:
        """Return what the module called ``name`` makes of ``x``, where there is one."""
        module = self._modules.get(name)
        return x if module is None else module(x)
