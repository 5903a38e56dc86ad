"""SimpleMNISTNet: skip connections, both poolings, no fully connected layer."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from kilonet.models.base import Network
from kilonet.models.blocks import ConvBlock, Residual, Separable
from kilonet.models.dropout import Dropout


class SimpleMNISTNet(Network):
    """1→8→12→16 convolutions, a residual 3×3, separable blocks to 24, a 1×1 classifier.

    Max pooling halves the image twice, average pooling ends it. Past the second
    pooling all blocks are separable (Howard et al. 2017), two of them residual, which is what
    keeps it under 8,000 parameters.
    """

    smallest_side = 4

    def __init__(
        self,
        dropout: float = 0.05,
        activation: str = "relu",
        input_shape: tuple[int, int, int] = (1, 28, 28),
        num_classes: int = 10,
    ) -> None:
        super().__init__(input_shape, num_classes)
        self.layer1 = ConvBlock((input_shape[0], 8), nonlinearity=activation)
        self.layer2 = ConvBlock((8, 12), nonlinearity=activation)
        self.layer3 = ConvBlock((12, 16), nonlinearity=activation)
        self.pool1 = nn.MaxPool2d(2)
        self.residual1 = Residual(ConvBlock((16, 16), nonlinearity=activation), dropout)
        self.pool2 = nn.MaxPool2d(2)
        self.widen = Separable((16, 24), nonlinearity=activation)
        self.residual2 = Residual(Separable((24, 24), nonlinearity=activation), dropout)
        self.residual3 = Residual(Separable((24, 24), nonlinearity=activation), dropout)
        self.pool3 = nn.AdaptiveAvgPool2d(1)
        self.drop: nn.Module = Dropout(dropout) if dropout > 0 else nn.Identity()
        self.classifier = nn.Conv2d(24, num_classes, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return float32 logits N×K for float32 images N×C×H×W."""
        x = self.pool3(self.past_blocks(x))
        return torch.flatten(self.classifier(self.drop(x)), 1)

    def blocks(self) -> Sequence[nn.Module]:
        """Return all but the average pooling and what follows it."""
        full = (self.layer1, self.layer2, self.layer3, self.pool1, self.residual1, self.pool2)
        return (*full, self.widen, self.residual2, self.residual3)
