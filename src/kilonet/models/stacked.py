"""3×3 convolutions with 1×1 convolutions that compress or refine between them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from kilonet.models.base import Network


class Stacked1x1(Network):
    """Four 3×3 convolutions, three 1×1 convolutions without a nonlinearity, one linear layer.

    No batch norm and no dropout. The log-softmax that often ends such a network belongs to the
    loss here: cross-entropy of the logits is the same function.
    """

    smallest_side = 4

    def __init__(
        self, input_shape: tuple[int, int, int] = (1, 28, 28), num_classes: int = 10
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

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return float32 logits N×K for float32 images N×C×H×W."""
        x = self.pool1(F.relu(self.conv1(x)))
        x = self.reduce(self.pool2(F.relu(self.conv2(x))))
        x = self.refine3(F.relu(self.conv3(x)))
        x = self.refine4(F.relu(self.conv4(x)))
        logits: torch.Tensor = self.classifier(torch.flatten(x, 1))
        return logits
