"""A chain of convolution blocks and poolings, written as a line of short words."""

from __future__ import annotations

import re
from collections.abc import Iterator

import torch
from torch import nn

from kilonet.errors import RecipeError
from kilonet.models.base import Network
from kilonet.models.blocks import ConvBlock

CONVOLUTION = re.compile(r"([cp])(\d+)(?:k(\d+))?(?:s(\d+))?(v?)")


class ConvStack(Network):
    """``layers`` says the chain, e.g. ``"c16 c16 M p12 c28 c28 M p32"``, then comes a head.

    cN is a 3×3 convolution to N channels (cNkKsS: kernel K, stride S; a v at the end: unpadded,
    which takes a margin off an image that has nothing there), pN a 1×1 convolution, M and A max
    and average pooling by 2 (M3: by 3). The head "gap" averages each channel over the image
    before a linear map (Lin et al. 2014); "fc" maps all values. ``pool_first`` moves a pooling
    that follows a convolution into its block, ahead of batch norm and nonlinearity.

    Raises:
        RecipeError: pooling and strides leave nothing of the image.
    """

    def __init__(
        self,
        layers: str,
        head: str = "gap",
        *,
        batch_norm: bool = True,
        dropout: float = 0.0,
        bias: bool = False,
        head_bias: bool = True,
        activation: str = "relu",
        pool_first: bool = False,
        input_shape: tuple[int, int, int] = (1, 28, 28),
        num_classes: int = 10,
    ) -> None:
        super().__init__(input_shape, num_classes)
        self.features = nn.Sequential()
        words = _paired(layers.split()) if pool_first else [(word, "") for word in layers.split()]
        style = {"bias": bias, "batch_norm": batch_norm, "dropout": dropout}
        for name, module in _chain(words, input_shape[0], activation, style):
            self.features.add_module(name, module)
        channels, height, width = _shape_after(self.features, input_shape, layers)
        self.head = nn.Sequential()
        if head == "gap":
            self.head.add_module("gap", nn.AdaptiveAvgPool2d(1))
            self.head.add_module("classifier", nn.Conv2d(channels, num_classes, 1, bias=head_bias))
            self.head.add_module("flatten", nn.Flatten())
        else:
            self.head.add_module("flatten", nn.Flatten())
            values = channels * height * width
            self.head.add_module("classifier", nn.Linear(values, num_classes, bias=head_bias))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return float32 logits N×K for float32 images N×C×H×W."""
        logits: torch.Tensor = self.head(self.features(x))
        return logits


def _paired(words: list[str]) -> list[tuple[str, str]]:
    """Return the words, each convolution with the pooling that follows it, or with ""."""
    pairs: list[tuple[str, str]] = []
    for word in words:
        if word[0] in "MA" and pairs and pairs[-1][0][0] in "cp" and not pairs[-1][1]:
            pairs[-1] = (pairs[-1][0], word)
        else:
            pairs.append((word, ""))
    return pairs


def _chain(
    words: list[tuple[str, str]], channels: int, activation: str, style: dict[str, float]
) -> Iterator[tuple[str, nn.Module]]:
    """Yield the named modules of the chain; names count each kind, as papers do: conv1, pool1."""
    counts = {"conv": 0, "pool": 0, "point": 0}
    for word, pooling in words:
        match = CONVOLUTION.fullmatch(word)
        kind = "pool" if match is None else "point" if match[1] == "p" else "conv"
        counts[kind] += 1
        name = f"{kind}{counts[kind]}"
        if match is None:
            yield name, _pool(word)
            continue
        out = int(match[2])
        kernel = int(match[3] or (1 if kind == "point" else 3))
        block = ConvBlock(
            (channels, out),
            kernel,
            int(match[4] or 1),
            bias=bool(style["bias"]),
            batch_norm=bool(style["batch_norm"]),
            nonlinearity=activation,
            dropout=style["dropout"],
            padded=not match[5],
            pool=_pool(pooling) if pooling else None,
        )
        yield name, block
        channels = out


def _pool(word: str) -> nn.Module:
    side = int(word[1:] or 2)
    return nn.MaxPool2d(side) if word[0] == "M" else nn.AvgPool2d(side)


def _shape_after(
    features: nn.Module, input_shape: tuple[int, int, int], layers: str
) -> tuple[int, int, int]:
    """Return (C, H, W) of the chain's output, found by passing one zero image through."""
    was_training = features.training
    try:
        features.eval()
        with torch.no_grad():
            _, channels, height, width = features(torch.zeros(1, *input_shape)).shape
    except RuntimeError as error:
        raise RecipeError(
            f'[model] layers: "{layers}" leaves nothing of a '
            f"{input_shape[1]}×{input_shape[2]} image; pool or stride less."
        ) from error
    finally:
        features.train(was_training)
    return channels, height, width
