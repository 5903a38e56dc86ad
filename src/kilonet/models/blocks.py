"""Building blocks of networks: p4 group convolutions, convolution blocks, separable, residual."""

from __future__ import annotations

from typing import Any, TypedDict, Unpack

import torch
import torch.nn.functional as F
from torch import nn

from kilonet.models.dropout import Dropout
from kilonet.recipe.layer_spec import ORIENTATIONS


class ConvOptions(TypedDict, total=False):
    """Options of a block's convolutions and of the modules that follow them; all have defaults.

    ``nonlinearity`` is "relu", "silu" or "none". ``norm_scale`` fixes batch norm's scale. With
    ``p4`` or ``regular`` the convolution is a ``P4Conv2d``; with ``orientation_channels`` batch
    norm's shifts are shared as in ``ShiftNorm2d``.
    """

    bias: bool
    batch_norm: bool
    norm_scale: float | None
    nonlinearity: str
    p4: bool
    orientation_channels: bool
    regular: bool


def activation(name: str) -> nn.Module:
    """Return a new activation: "relu", "silu" (Elfwing et al. 2017) or "none", the identity."""
    return {"relu": nn.ReLU, "silu": nn.SiLU, "none": nn.Identity}[name]()


class P4Conv2d(nn.Conv2d):
    """A convolution over the group p4 of rotations by 90° (Cohen and Welling 2016).

    Every group of four consecutive output channels ("orientation channels") uses one filter,
    rotated by 0°, 90°, 180° and 270°. ``weight`` stores one filter of every four, (⌈O/4⌉, I/groups,
    K, K), so it has a quarter of a convolution's weights. A lifting convolution takes any input,
    such as an image. A ``regular`` one takes orientation channels too, and shifts the input
    channels of a filter cyclically within each four as it rotates the filter; rotating the image
    then rotates the output and shifts its orientation channels, and nothing else. ``filters``
    returns all filters.
    """

    index: torch.Tensor

    def __init__(self, *args: Any, regular: bool = False, **named: Any) -> None:
        super().__init__(*args, **named)
        self.regular = regular
        full = self.weight.detach()
        self.weight = nn.Parameter(full[::ORIENTATIONS].clone())
        positions = torch.arange(self.weight.numel()).view_as(self.weight)
        rotated = [_rotate(positions, times, regular=regular) for times in range(ORIENTATIONS)]
        index = torch.stack(rotated, dim=1).flatten(0, 1)[: len(full)]
        self.register_buffer("index", index.flatten(), persistent=False)

    def is_regular_pointwise(self) -> bool:
        """Return whether it is a 1×1 convolution from orientation channels to such channels."""
        whole = self.in_channels % ORIENTATIONS == self.out_channels % ORIENTATIONS == 0
        point = self.kernel_size == self.stride == (1, 1) and self.groups == 1
        return self.regular and whole and point

    def filters(self) -> torch.Tensor:
        """Return all filters, (O, I/groups, K, K); gradients flow to the stored ones."""
        shape = (self.out_channels, *self.weight.shape[1:])
        filters: torch.Tensor = self.weight.flatten().index_select(0, self.index).view(shape)
        return filters

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the convolution of ``x`` with ``filters``: N×O×H×W."""
        y: torch.Tensor = self._conv_forward(x, self.filters(), self.bias)
        return y


def _rotate(filters: torch.Tensor, times: int, *, regular: bool) -> torch.Tensor:
    """Rotate ``filters`` by ``times`` · 90°; shift ``regular`` ones' orientation channels too."""
    rotated = torch.rot90(filters, times, (2, 3))
    if not regular:
        return rotated
    outputs, inputs, *sides = rotated.shape
    by_orientation = rotated.reshape(outputs, inputs // ORIENTATIONS, ORIENTATIONS, *sides)
    return by_orientation.roll(times, dims=2).flatten(1, 2)


class ShiftNorm2d(nn.BatchNorm2d):
    """Batch norm that learns a shift only; its scale is one fixed number for all channels.

    A learnt scale is redundant, because the next layer's weights can absorb it. ``scale`` only
    controls how nonlinear the activation acts: SiLU is nearly linear around 0. With
    ``orientation_channels`` every group of four consecutive channels shares one shift.
    """

    def __init__(self, channels: int, scale: float, *, orientation_channels: bool = False) -> None:
        super().__init__(channels)
        del self.weight
        self.register_buffer("weight", torch.full((channels,), scale), persistent=False)
        self.repeats = ORIENTATIONS if orientation_channels else 1
        self.bias = nn.Parameter(self.bias.detach()[:: self.repeats].clone())

    def shift(self) -> torch.Tensor:
        """Return the shift of each channel, (C,); gradients flow to the stored ones."""
        return self.bias.repeat_interleave(self.repeats)[: self.num_features]

    def index(self) -> torch.Tensor:
        """Return which of the stored shifts each channel has, (C,)."""
        return torch.arange(self.num_features) // self.repeats

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``x`` normalised, N×C×H×W."""
        return _normalise(x, self, 1.0)


def _norm(channels: int, options: ConvOptions) -> nn.BatchNorm2d:
    scale = options.get("norm_scale")
    if scale is None:
        return nn.BatchNorm2d(channels)
    orientation_channels = options.get("orientation_channels", False)
    return ShiftNorm2d(channels, scale, orientation_channels=orientation_channels)


def _normalise(x: torch.Tensor, norm: nn.BatchNorm2d, factor: float) -> torch.Tensor:
    """Return ``norm`` of ``x``, with its scale and shift multiplied by ``factor``."""
    assert norm.num_batches_tracked is not None
    assert norm.momentum is not None
    if norm.training:
        norm.num_batches_tracked.add_(1)
    shift = norm.shift() if isinstance(norm, ShiftNorm2d) else norm.bias
    return F.batch_norm(
        x,
        norm.running_mean,
        norm.running_var,
        norm.weight * factor,
        shift * factor,
        training=norm.training,
        momentum=norm.momentum,
        eps=norm.eps,
    )


def with_standard_modules(model: nn.Module) -> nn.Module:
    """Replace ``P4Conv2d`` and ``ShiftNorm2d`` in ``model`` by PyTorch's own modules.

    ``model`` is changed in place, computes the same, and is returned.
    """
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, P4Conv2d):
                setattr(module, name, _standard_convolution(child))
            elif isinstance(child, ShiftNorm2d):
                setattr(module, name, _standard_norm(child))
    return model


def _standard_convolution(conv: P4Conv2d) -> nn.Conv2d:
    with torch.device("meta"):
        standard = nn.Conv2d(
            conv.in_channels,
            conv.out_channels,
            conv.kernel_size,  # type: ignore[arg-type]
            conv.stride,  # type: ignore[arg-type]
            conv.padding,  # type: ignore[arg-type]
            groups=conv.groups,
            bias=conv.bias is not None,
        )
    standard.weight = nn.Parameter(conv.filters().detach())
    standard.bias = conv.bias
    return standard


def _standard_norm(norm: ShiftNorm2d) -> nn.BatchNorm2d:
    standard = nn.BatchNorm2d(norm.num_features, norm.eps, norm.momentum)
    standard.load_state_dict({**norm.state_dict(), "weight": norm.weight, "bias": norm.shift()})
    return standard.train(norm.training)


class ConvBlock(nn.Sequential):
    """Convolution, pooling, batch norm, activation and dropout; all but the first are optional.

    Padding keeps height and width at stride 1 for odd kernels. Pooling comes before the
    activation because less remains to compute; with max pooling and ReLU the order does not
    change the result.
    """

    def __init__(
        self,
        channels: tuple[int, int],
        kernel: int = 3,
        stride: int = 1,
        *,
        padded: bool = True,
        groups: int = 1,
        dropout: float = 0.0,
        pool: nn.Module | None = None,
        **options: Unpack[ConvOptions],
    ) -> None:
        shape: dict[str, Any] = {
            "kernel_size": kernel,
            "stride": stride,
            "padding": kernel // 2 if padded else 0,
            "groups": groups,
            "bias": options.get("bias", False),
        }
        super().__init__()
        if options.get("p4", False):
            regular = options.get("regular", False)
            self.add_module("conv", P4Conv2d(*channels, **shape, regular=regular))
        else:
            self.add_module("conv", nn.Conv2d(*channels, **shape))
        if pool is not None:
            self.add_module("pool", pool)
        if options.get("batch_norm", True):
            self.add_module("norm", _norm(channels[1], options))
        self.add_module("act", activation(options.get("nonlinearity", "relu")))
        if dropout > 0:
            self.add_module("drop", Dropout(dropout))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return an N×C×H×W tensor; training fuses batch norm, ReLU and dropout if it can."""
        conv, *rest = self
        x = conv(x)
        for module in rest:
            if isinstance(module, nn.BatchNorm2d) and (drop := self._dropout_after_relu(x)):
                return norm_relu_dropout(x, module, drop)
            x = module(x)
        return x

    def _dropout_after_relu(self, x: torch.Tensor) -> Dropout | None:
        """Return the block's dropout if it follows a ReLU and can be fused with it for ``x``."""
        *_, act, drop = self
        if not (self.training and isinstance(act, nn.ReLU) and isinstance(drop, Dropout)):
            return None
        return drop if drop.is_fast_for(x) else None


def norm_relu_dropout(x: torch.Tensor, norm: nn.BatchNorm2d, drop: Dropout) -> torch.Tensor:
    """Return ``drop(relu(norm(x)))`` in training, up to rounding, with half the memory traffic.

    Dropout's scale is positive, so it commutes with ReLU and multiplies batch norm's scale and
    shift instead of every value; ReLU and dropout are then one mask. ``drop.is_fast_for(x)`` must
    be true.
    """
    return drop.after_relu(_normalise(x, norm, drop.scale))


class LearnedScale(nn.Module):
    """Multiplication of the input by one learnt number."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return a tensor of the input's shape."""
        return x * self.factor


class Separable(nn.Sequential):
    """Depthwise K×K, then pointwise 1×1 convolution, each a ``ConvBlock`` (Howard et al. 2017).

    It has K²·i + i·o weights, a full convolution K²·i·o. ``kernel``, ``stride`` and ``padded``
    belong to the depthwise convolution, dropout and pooling to the pointwise one. With
    ``linear_depthwise`` there is no batch norm and no activation between the two (Chollet 2017).
    With ``p4`` the depthwise convolution is a ``P4Conv2d`` with K²·i/4 weights; with ``regular``
    the pointwise one is too, with i·o/4.
    """

    def __init__(
        self,
        channels: tuple[int, int],
        kernel: int = 3,
        stride: int = 1,
        *,
        padded: bool = True,
        dropout: float = 0.0,
        pool: nn.Module | None = None,
        linear_depthwise: bool = False,
        **options: Unpack[ConvOptions],
    ) -> None:
        inputs, _ = channels
        first: ConvOptions = {**options, "regular": False}  # each filter has one input channel
        if linear_depthwise:
            first |= {"batch_norm": False, "nonlinearity": "none"}
        last: ConvOptions = {**options, "p4": options.get("regular", False)}
        super().__init__()
        depth = ConvBlock((inputs, inputs), kernel, stride, padded=padded, groups=inputs, **first)
        self.add_module("depth", depth)
        self.add_module("point", ConvBlock(channels, 1, dropout=dropout, pool=pool, **last))


class Residual(nn.Module):
    """x + dropout(block(x)) (He et al. 2016); the block keeps its input's shape."""

    def __init__(self, block: nn.Module, dropout: float = 0.0) -> None:
        super().__init__()
        self.block = block
        self.drop: nn.Module = Dropout(dropout) if dropout > 0 else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return an N×C×H×W tensor of the input's shape."""
        sum_: torch.Tensor = x + self.drop(self.block(x))
        return sum_


def share_weights(block: nn.Module, owner: nn.Module) -> None:
    """Make the convolutions of ``block`` use the weights of those in ``owner``.

    Both blocks have the same modules. Each keeps its own batch norms, because the mean and the
    variance of its input differ.
    """
    for module, original in zip(block.modules(), owner.modules(), strict=True):
        if isinstance(module, nn.Conv2d):
            assert isinstance(original, nn.Conv2d)
            module.weight, module.bias = original.weight, original.bias
