"""Networks with a fixed architecture, as published or taught elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from kilonet.models.base import Network
from kilonet.models.blocks import ConvBlock, Residual, Separable
from kilonet.models.dropout import Dropout


class TwoConv(Network):
    """Conv 16, pool, conv 32, pool, fully connected ``hidden``, dropout, fully connected.

    Nearly all parameters are in the hidden layer, whose input has 1,568 values. With 3
    ``poolings``, a third pooling before it leaves 288 values.
    """

    smallest_side = 4

    def __init__(
        self,
        hidden: int = 64,
        dropout: float = 0.25,
        poolings: int = 2,
        input_shape: tuple[int, int, int] = (1, 28, 28),
        num_classes: int = 10,
    ) -> None:
        self.smallest_side = shrinkage = 2**poolings
        super().__init__(input_shape, num_classes)
        channels, height, width = input_shape
        self.poolings = poolings
        self.conv1 = nn.Conv2d(channels, 16, 3, padding=1)
        self.norm1 = nn.BatchNorm2d(16)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.norm2 = nn.BatchNorm2d(32)
        self.fc1 = nn.Linear(32 * (height // shrinkage) * (width // shrinkage), hidden)
        self.drop = Dropout(dropout)
        self.fc2 = nn.Linear(hidden, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return float32 logits N×K for float32 images N×C×H×W."""
        x = F.max_pool2d(F.relu(self.norm1(self.conv1(x))), 2)
        x = F.max_pool2d(F.relu(self.norm2(self.conv2(x))), 2)
        if self.poolings == 3:
            x = F.max_pool2d(x, 2)
        x = self.drop(F.relu(self.fc1(torch.flatten(x, 1))))
        logits: torch.Tensor = self.fc2(x)
        return logits


class Stacked1x1(Network):
    """Four 3×3 convolutions, three 1×1 convolutions without an activation, one linear layer.

    ``batch_norm`` adds batch norm after each 3×3 convolution, before its ReLU. ``dropout`` acts
    on the output of each of the four blocks, after pooling or the 1×1 convolution. The
    log-softmax at the end of the published network is part of the loss here.
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
        for block, width_out in enumerate((8, 16, 16, 32), start=1):
            if batch_norm:
                self.add_module(f"norm{block}", nn.BatchNorm2d(width_out))
            if dropout > 0:
                self.add_module(f"drop{block}", Dropout(dropout))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return float32 logits N×K for float32 images N×C×H×W."""
        x = self._optional("drop1", self.pool1(self._norm_relu(self.conv1(x), 1)))
        x = self._optional("drop2", self.reduce(self.pool2(self._norm_relu(self.conv2(x), 2))))
        x = self._optional("drop3", self.refine3(self._norm_relu(self.conv3(x), 3)))
        x = self._optional("drop4", self.refine4(self._norm_relu(self.conv4(x), 4)))
        logits: torch.Tensor = self.classifier(torch.flatten(x, 1))
        return logits

    def _norm_relu(self, x: torch.Tensor, block: int) -> torch.Tensor:
        return F.relu(self._optional(f"norm{block}", x))

    def _optional(self, name: str, x: torch.Tensor) -> torch.Tensor:
        """Apply the module called ``name`` to ``x`` if the network has it."""
        module = self._modules.get(name)
        return x if module is None else module(x)


class PlainValid(Network):
    """Conv 16, conv 32, pool, conv 40, pool, 1×1 conv 24, linear; no padding, batch norm, dropout.

    The log-softmax at the end of the published network is part of the loss here: the negative
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


class SimpleMNISTNet(Network):
    """1→8→12→16 convolutions, a residual 3×3, separable blocks to 24, a 1×1 classifier.

    Max pooling halves the image twice, and average pooling ends the network. After the second
    pooling all blocks are separable (Howard et al. 2017) and two of them residual, which keeps
    the network under 8,000 parameters.
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
        x = self.pool3(self.apply_blocks(x))
        return torch.flatten(self.classifier(self.drop(x)), 1)

    def blocks(self) -> Sequence[nn.Module]:
        """Return all modules before the average pooling."""
        full = (self.layer1, self.layer2, self.layer3, self.pool1, self.residual1, self.pool2)
        return (*full, self.widen, self.residual2, self.residual3)
