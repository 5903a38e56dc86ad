"""A chain of convolution blocks and poolings, written as a line of short words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import torch
from torch import nn

from kilonet.errors import RecipeError
from kilonet.models.base import Network
from kilonet.models.blocks import ConvBlock, Residual, Scaled, Separable, Style, share_weights
from kilonet.recipe.words import Word, parse_words

_NAMES = {
    "conv": "conv",
    "point": "point",
    "separable": "separable",
    "residual": "residual",
    "residual-separable": "residual",
    "shared": "residual",
    "max": "pool",
    "average": "pool",
}


_TEMPERATURE = 20.0  # averages of maps are small numbers; training takes it from here


class ConvStack(Network):
    """``layers`` says the chain, e.g. ``"c8 M d20 r M d24 r r r"``, then comes a head.

    The words are those of ``kilonet.recipe.words``: full convolutions (c, p; unpadded with a v,
    which takes a margin off an image that has nothing there), depthwise-separable ones (d), which
    see as far with a fraction of the weights, residual blocks (r, R), which let a chain be deep,
    the same again with the same weights (s), which buys depth with computing alone, and poolings
    (M, A). The head "gap" averages each channel over the image before a linear map (Lin et al.
    2014); "fc" maps all values. ``pool_first`` moves a pooling that follows a convolution into its
    block, ahead of batch norm and nonlinearity.

    Below some thousands of parameters, what is stored counts more than what is computed. Filters
    stored once and used in four directions (t, g) cost a quarter. ``norm_scale`` is batch norm's,
    where that is not learnt. The head "maps" is global average pooling as it was first (Lin et al.
    2014): the chain ends in a map for each class (``d*``), whose averages, times one learnt number,
    are the logits.

    Raises:
        RecipeError: pooling and strides leave nothing of the image, or the head is "maps" and the
            chain does not end in as many channels as classes.
    """

    def __init__(
        self,
        layers: str,
        head: str = "gap",
        *,
        batch_norm: bool = True,
        norm_scale: float | None = None,
        dropout: float = 0.0,
        bias: bool = False,
        head_bias: bool = True,
        activation: str = "relu",
        pool_first: bool = False,
        input_shape: tuple[int, int, int] = (1, 28, 28),
        num_classes: int = 10,
    ) -> None:
        super().__init__(input_shape, num_classes)
        style: Style = {
            "bias": bias,
            "batch_norm": batch_norm,
            "norm_scale": norm_scale,
            "nonlinearity": activation,
        }
        self.features = nn.Sequential()
        words = [word.for_classes(num_classes) for word in parse_words(layers)]
        steps = _paired(words, pool_first=pool_first)
        for name, module in _chain(steps, input_shape[0], dropout, style):
            self.features.add_module(name, module)
        channels, height, width = _shape_after(self.features, input_shape, layers)
        self.head = nn.Sequential()
        if head == "maps":
            _require_a_map_each(channels, num_classes)
            self.head.add_module("gap", nn.AdaptiveAvgPool2d(1))
            self.head.add_module("flatten", nn.Flatten())
            self.head.add_module("temperature", Scaled(_TEMPERATURE))
        elif head == "gap":
            self.head.add_module("gap", nn.AdaptiveAvgPool2d(1))
            self.head.add_module("classifier", nn.Conv2d(channels, num_classes, 1, bias=head_bias))
            self.head.add_module("flatten", nn.Flatten())
        else:
            self.head.add_module("flatten", nn.Flatten())
            values = channels * height * width
            self.head.add_module("classifier", nn.Linear(values, num_classes, bias=head_bias))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return float32 logits N×K for float32 images N×C×H×W."""
        logits: torch.Tensor = self.head(self.past_blocks(x))
        return logits

    def blocks(self) -> Sequence[nn.Module]:
        """Return all but the head."""
        return list(self.features)


def _require_a_map_each(channels: int, num_classes: int) -> None:
    if channels != num_classes:
        raise RecipeError(
            f'[model] head: "maps" needs a chain that ends in {num_classes} channels, one for each '
            f"class; it ends in {channels}. End it with a word such as d*."
        )


def _chain(
    steps: list[tuple[Word, Word | None]], channels: int, dropout: float, style: Style
) -> Iterator[tuple[str, nn.Module]]:
    """Yield the named modules of the chain; names count each kind, as papers do: conv1, pool1."""
    counts: Counter[str] = Counter()
    owner: tuple[Word, nn.Module] | None = None  # the last residual block with weights of its own
    for word, pooling in steps:
        name = _NAMES[word.kind]
        counts[name] += 1
        out = word.channels or channels
        pool = _pool(pooling) if pooling is not None else None
        if word.kind == "shared":
            assert owner is not None
            module = _module(owner[0], (channels, out), pool, dropout, style)
            share_weights(module, owner[1])
        else:
            module = _module(word, (channels, out), pool, dropout, style)
            owner = (word, module) if word.is_residual else owner
        yield f"{name}{counts[name]}", module
        channels = out


def _paired(words: list[Word], *, pool_first: bool) -> list[tuple[Word, Word | None]]:
    """Return the words, with ``pool_first`` each convolution with the pooling that follows it."""
    pairs: list[tuple[Word, Word | None]] = []
    for word in words:
        before, pooling = pairs[-1] if pairs and pool_first else (None, None)
        if word.pools and before and before.is_convolution and pooling is None:
            pairs[-1] = (before, word)
        else:
            pairs.append((word, None))
    return pairs


def _module(
    word: Word, channels: tuple[int, int], pool: nn.Module | None, dropout: float, style: Style
) -> nn.Module:
    if word.pools:
        return _pool(word)
    own: Style = {**style, "turned": word.turned, "fours": word.fours, "cyclic": word.cyclic}
    block: Callable[..., nn.Module] = ConvBlock
    if word.kind in ("separable", "residual-separable"):
        block = partial(Separable, linear_depthwise=word.linear)
    if word.is_residual:
        return Residual(block(channels, word.kernel, **own), dropout)
    place = {"padded": word.padded, "pool": pool, "dropout": dropout}
    return block(channels, word.kernel, word.stride, **place, **own)


def _pool(word: Word) -> nn.Module:
    return nn.MaxPool2d(word.kernel) if word.kind == "max" else nn.AvgPool2d(word.kernel)


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
