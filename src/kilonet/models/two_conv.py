"""Two convolutions and a hidden fully connected layer: the beginner's network."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from kilonet.models.base import Network
from kilonet.models.dropout import Dropout


class TwoConv(Network):
    """Conv 16, pool, conv 32, pool, fully connected ``hidden``, dropout, fully connected.

    Nearly all of its parameters are in the hidden layer, which sees 1,568 values.
    """

    smallest_side = 4

    def __init__(
        self,
        hidden: int = 64,
        dropout: float = 0.25,
        input_shape: tuple[int, int, int] = (1, 28, 28),
        num_classes: int = 10,
    ) -> None:
        super().__init__(input_shape, num_classes)
        channels, height, width = input_shape
        self.conv1 = nn.Conv2d(channels, 16, 3, padding=1)
        self.norm1 = nn.BatchNorm2d(16)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.norm2 = nn.BatchNorm2d(32)
        self.fc1 = nn.Linear(32 * (height // 4) * (width // 4), hidden)
        self.drop = Dropout(dropout)
        self.fc2 = nn.Linear(hidden, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return float32 logits N×K for float32 images N×C×H×W."""
        x = F.max_pool2d(F.relu(self.norm1(self.conv1(x))), 2)
        x = F.max_pool2d(F.relu(self.norm2(self.conv2(x))), 2)
        x = self.drop(F.relu(self.fc1(torch.flatten(x, 1))))
        logits: torch.Tensor = self.fc2(x)
        return logits
