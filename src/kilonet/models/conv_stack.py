"""A chain of convolution blocks and poolings, described by a layer spec."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import torch
from torch import nn

from kilonet.errors import RecipeError
from kilonet.models.base import Network
from kilonet.models.blocks import (
    ConvBlock,
    ConvOptions,
    LearnedScale,
    Residual,
    Separable,
    share_weights,
)
from kilonet.recipe.layer_spec import LayerSpec, parse_layers

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

_INITIAL_LOGIT_SCALE = 20.0  # channel averages are small, so logits start with a large scale

# A layer, and the pooling that is built into its block, or None.
_LayerWithPooling = tuple[LayerSpec, LayerSpec | None]


class ConvStack(Network):
    """A chain of ``layers``, e.g. ``"c8 M d20 r M d24 r r r"``, and a head.

    ``kilonet.recipe.layer_spec`` describes the layers:

    - c, p: full convolutions; v removes the padding, which crops an empty margin.
    - d: a depthwise-separable convolution, with a fraction of the weights and the same receptive
      field.
    - r, R: a residual block, which makes deep chains trainable.
    - s: the last residual block again with the same weights, which adds depth without parameters.
    - M, A: max and average pooling.

    The head "gap" averages each channel over the image and applies a linear map (Lin et al. 2014);
    "fc" applies a linear map to all values. ``pool_first`` moves a pooling that follows a
    convolution into its block, before batch norm and activation.

    Three options save parameters in very small networks. p4 filters (t, g) are stored once and
    used in four orientations, which saves three quarters. ``norm_scale`` fixes batch norm's scale
    instead of learning it. The head "maps" has no linear layer (Lin et al. 2014): the last layer
    has one channel per class (``d*``), and a logit is the average of its channel times one learnt
    scale.

    Raises:
        RecipeError: poolings and strides reduce the image to size 0, or the head is "maps" and the
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
        options: ConvOptions = {
            "bias": bias,
            "batch_norm": batch_norm,
            "norm_scale": norm_scale,
            "nonlinearity": activation,
        }
        self.features = nn.Sequential()
        specs = [spec.for_classes(num_classes) for spec in parse_layers(layers)]
        steps = _with_poolings(specs, pool_first=pool_first)
        for name, module in _chain(steps, input_shape[0], dropout, options):
            self.features.add_module(name, module)
        channels, height, width = _output_shape(self.features, input_shape, layers)
        self.head = nn.Sequential()
        if head == "maps":
            _require_class_channels(channels, num_classes)
            self.head.add_module("gap", nn.AdaptiveAvgPool2d(1))
            self.head.add_module("flatten", nn.Flatten())
            # The name in stored weights; the scale multiplies.
            self.head.add_module("temperature", LearnedScale(_INITIAL_LOGIT_SCALE))
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
        logits: torch.Tensor = self.head(self.apply_blocks(x))
        return logits

    def blocks(self) -> Sequence[nn.Module]:
        """Return all modules except the head."""
        return list(self.features)


def _require_class_channels(channels: int, num_classes: int) -> None:
    if channels != num_classes:
        raise RecipeError(
            f'[model] head: "maps" needs a last layer with {num_classes} channels, one for each '
            f"class; it has {channels}. End the layers with one such as d*."
        )


def _chain(
    steps: Sequence[_LayerWithPooling], channels: int, dropout: float, options: ConvOptions
) -> Iterator[tuple[str, nn.Module]]:
    """Yield the modules with their names, numbered within each kind: conv1, pool1, conv2."""
    counts: Counter[str] = Counter()
    # The last residual block that is not "shared"; shared blocks use its weights.
    weight_source: tuple[LayerSpec, nn.Module] | None = None
    for spec, pooling in steps:
        name = _NAMES[spec.kind]
        counts[name] += 1
        out = spec.channels or channels
        pool = _pool(pooling) if pooling is not None else None
        if spec.kind == "shared":
            assert weight_source is not None
            module = _module(weight_source[0], (channels, out), pool, dropout, options)
            share_weights(module, weight_source[1])
        else:
            module = _module(spec, (channels, out), pool, dropout, options)
            weight_source = (spec, module) if spec.is_residual else weight_source
        yield f"{name}{counts[name]}", module
        channels = out


def _with_poolings(specs: Sequence[LayerSpec], *, pool_first: bool) -> list[_LayerWithPooling]:
    """Pair each layer with the pooling that is built into its block.

    With ``pool_first``, that is the pooling that follows a convolution; otherwise None.
    """
    steps: list[_LayerWithPooling] = []
    for spec in specs:
        before, pooling = steps[-1] if steps and pool_first else (None, None)
        if spec.is_pooling and before and before.is_convolution and pooling is None:
            steps[-1] = (before, spec)
        else:
            steps.append((spec, None))
    return steps


def _module(
    spec: LayerSpec,
    channels: tuple[int, int],
    pool: nn.Module | None,
    dropout: float,
    options: ConvOptions,
) -> nn.Module:
    if spec.is_pooling:
        return _pool(spec)
    block_options: ConvOptions = {
        **options,
        "p4": spec.p4,
        "orientation_channels": spec.orientation_channels,
        "regular": spec.regular,
    }
    block: Callable[..., nn.Module] = ConvBlock
    if spec.kind in ("separable", "residual-separable"):
        block = partial(Separable, linear_depthwise=spec.linear)
    if spec.is_residual:
        return Residual(block(channels, spec.kernel, **block_options), dropout)
    arguments = {"padded": spec.padded, "pool": pool, "dropout": dropout}
    return block(channels, spec.kernel, spec.stride, **arguments, **block_options)


def _pool(spec: LayerSpec) -> nn.Module:
    return nn.MaxPool2d(spec.kernel) if spec.kind == "max" else nn.AvgPool2d(spec.kernel)


def _output_shape(
    features: nn.Module, input_shape: tuple[int, int, int], layers: str
) -> tuple[int, int, int]:
    """Return (C, H, W) of the chain's output for an image of ``input_shape``."""
    was_training = features.training
    try:
        features.eval()
        with torch.no_grad():
            _, channels, height, width = features(torch.zeros(1, *input_shape)).shape
    except RuntimeError as error:
        raise RecipeError(
            f'[model] layers: "{layers}" reduces a '
            f"{input_shape[1]}×{input_shape[2]} image to size 0; use fewer poolings or smaller "
            "strides."
        ) from error
    finally:
        features.train(was_training)
    return channels, height, width
