"""Dropout with a mask that is cheap to draw on a CPU.

``torch.nn.functional.dropout`` fills its mask with ``bernoulli_``, which spends one number of
PyTorch's serial generator and a scalar comparison on every element. In networks of a few
kilo-parameters that is a large part of the training time. Sixteen bits are enough to decide an
element, so one 64-bit random number decides four. The numbers come from a faster generator, seeded
from PyTorch's for every mask; the rest is vectorised integer arithmetic, in place where possible,
because memory bandwidth limits the speed.

The method is inverted dropout (Srivastava et al., "Dropout: a simple way to prevent neural networks
from overfitting", JMLR 15, 2014): training scales kept elements up, so that evaluation does
nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from kilonet.kernels.chain import DropoutMask

_LEVELS = 2**16  # values of 16 bits
_INTEGERS = {  # of the same width
    torch.bfloat16: torch.int16,
    torch.float16: torch.int16,
    torch.float32: torch.int32,
    torch.float64: torch.int64,
}


class Dropout(nn.Dropout):
    """``nn.Dropout`` with a fast mask for training on the CPU; elsewhere it is ``nn.Dropout``.

    The probability of zeroing an element is ``p`` rounded to the nearest 1/65,536. Kept elements
    are divided by the probability of keeping one *after* rounding, so the expectation of the
    output is the input. The mask depends on the state of PyTorch's default generator
    (``torch.manual_seed``), the number of elements and ``p``. It follows memory order, so the
    channels-last and contiguous layouts of one tensor get different masks.

    Input and output are floating-point tensors of any shape, of the same dtype and memory
    layout. ``torch.nn.functional.dropout`` handles inputs on other devices, inputs that are
    neither contiguous nor channels-last, and a ``p`` that rounds to 0 or 1 without being 0.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Return ``input`` in evaluation; in training, drop elements and scale the rest."""
        if not self.training or self.p == 0:
            return input
        if not self.is_fast_for(input):
            return super().forward(input)
        kept: Tensor = _Masked.apply(input, self._dropped_levels)  # type: ignore[no-untyped-call]
        return kept

    def is_fast_for(self, input: Tensor) -> bool:
        """Return whether training uses the fast mask for ``input``."""
        return (
            not self.inplace
            and self.has_mask()
            and input.device.type == "cpu"
            and input.dtype in _INTEGERS
            and (input.is_contiguous() or _is_channels_last(input))
        )

    def after_relu(self, input: Tensor) -> Tensor:
        """Return dropout of ReLU of ``input`` in training, without the scaling by ``scale``.

        Both zero elements, so one mask does both. ``is_fast_for(input)`` must be true.
        """
        kept: Tensor = _MaskedReLU.apply(input, self._dropped_levels)  # type: ignore[no-untyped-call]
        return kept

    def has_mask(self) -> bool:
        """Return whether the mask keeps some elements and drops others."""
        return 0 < self._dropped_levels < _LEVELS

    def draw_mask(self) -> DropoutMask:
        """Return the compiled kernels' mask of one training step; needs ``has_mask``."""
        threshold = (self._dropped_levels - _LEVELS // 2) * _LEVELS
        return DropoutMask(_seed(), threshold, self.scale)

    @property
    def scale(self) -> float:
        """The factor of kept elements: 1 / probability of keeping an element."""
        return _LEVELS / (_LEVELS - self._dropped_levels)

    @property
    def _dropped_levels(self) -> int:
        return round(self.p * _LEVELS)


class _Masked(torch.autograd.Function):
    """Zero some elements and scale the rest; the gradient likewise."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, dropped_levels: int) -> Tensor:
        ctx.scale = _LEVELS / (_LEVELS - dropped_levels)
        kept = _kept_in_memory_order(x, dropped_levels)
        ctx.save_for_backward(kept)
        return _apply(kept, x, ctx.scale)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (kept,) = ctx.saved_tensors
        return _apply(kept, gradient, ctx.scale), None


class _MaskedReLU(torch.autograd.Function):
    """Zero the elements that are not positive and some of the others.

    The bits of a float, read as an integer, have the float's sign, so ReLU is a maximum of
    integers. The gradient passes where the output is positive, so no mask is stored. (A NaN may
    become 0 here. Weights are then no longer finite, which each epoch's check detects.)
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, dropped_levels: int) -> Tensor:
        kept = _kept_in_memory_order(x, dropped_levels)
        output = kept.mul_(x.view(kept.dtype)).clamp_min_(0).view(x.dtype)
        ctx.save_for_backward(output)
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (output,) = ctx.saved_tensors
        bits = gradient.view(_INTEGERS[gradient.dtype])
        passed = torch.ops.aten.threshold_backward(bits, output.view(bits.dtype), 0)
        return passed.view(gradient.dtype), None


def _apply(kept: Tensor, x: Tensor, scale: float) -> Tensor:
    """Return x · scale where ``kept`` is 1, else 0, rounded once to ``x``'s dtype."""
    scaled = x * scale
    scaled.view(kept.dtype).mul_(kept)
    return scaled


def _is_channels_last(x: Tensor) -> bool:
    return x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last)


def _kept_in_memory_order(x: Tensor, dropped_levels: int) -> Tensor:
    """Return 0s and 1s with ``x``'s shape and strides, as integers as wide as ``x``'s numbers.

    They multiply the bits of ``x`` without a conversion and with unit stride.
    """
    flat = _flat_kept(x.numel(), dropped_levels).to(_INTEGERS[x.dtype])
    if x.is_contiguous():
        return flat.view(x.shape)
    batch, channels, height, width = x.shape
    return flat.view(batch, height, width, channels).permute(0, 3, 1, 2)


def _flat_kept(count: int, dropped_levels: int) -> Tensor:
    """Return ``count`` int16 values: 0 with probability dropped/65,536, else 1.

    A random int16 gives 1 if it exceeds the ``dropped_levels`` lowest values. The comparison is in
    place, so its result is integers, not booleans that need a conversion.
    """
    numbers = _random_int64(count // 4 + 1).view(torch.int16)[:count]
    return numbers.ge_(dropped_levels - _LEVELS // 2)


def _random_int64(count: int) -> Tensor:
    """Return ``count`` random int64 of SFC64 (Doty-Humphrey's PractRand, 2010).

    PyTorch's default generator draws the seed.
    """
    return torch.from_numpy(np.random.SFC64(_seed()).random_raw(count).view(np.int64))


def _seed() -> int:
    return int(torch.empty((), dtype=torch.int64).random_())
