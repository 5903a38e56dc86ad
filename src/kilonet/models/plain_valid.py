"""Unpadded ("valid") convolutions, each followed by ReLU, and one linear layer."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from kilonet.models.base import Network


class PlainValid(Network):
    """Conv 16, conv 32, pool, conv 40, pool, 1×1 conv 24, linear; no batch norm, no dropout.

    The log-softmax that often ends such a network belongs to the loss here: the negative
    log-likelihood of log-softmax is the cross-entropy of the logits.
    """

    smallest_side = 12

    def __init__(
        self, input_shape: tuple[int, int, int] = (1, 28, 28), num_classes: int = 10
    ) -> None:
        super().__init__(input_shape, num_classes)
        channels, height, width = input_shape
        self.conv1 = nn.Conv2d(channels, 16, 3)
        self.conv2 = nn.Conv2d(16, 32, 3)
        self.conv3 = nn.Conv2d(32, 40, 3)
        self.conv4 = nn.Conv2d(40, 24, 1)
        side = [((length - 4) // 2 - 2) // 2 for length in (height, width)]
        self.fc1 = nn.Linear(24 * side[0] * side[1], num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return float32 logits N×K for float32 images N×C×H×W."""
        x = F.relu(self.conv2(F.relu(self.conv1(x))))
        x = F.max_pool2d(x, 2)
        x = F.max_pool2d(F.relu(self.conv3(x)), 2)
        x = F.relu(self.conv4(x))
        logits: torch.Tensor = self.fc1(torch.flatten(x, 1))
        return logits
