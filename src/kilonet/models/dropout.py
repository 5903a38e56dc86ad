"""Dropout whose mask is cheap to draw on a CPU.

``torch.nn.functional.dropout`` fills its mask with ``bernoulli_``, which spends one random number
of PyTorch's serial generator, and a scalar comparison, on every element. In networks of a few
kilo-parameters that is a good part of the training time. Sixteen bits decide an element just as
well, so here one 64-bit draw decides four; the draws are of a faster generator, seeded anew from
PyTorch's for every mask; and the rest is vectorised integer arithmetic, done in place where it
can be, because these tensors are large enough for memory to be what is waited for.

The method is that of Srivastava et al., "Dropout: a simple way to prevent neural networks from
overfitting" (JMLR 15, 2014), in its inverted form: kept elements are scaled up in training, so
that nothing remains to be done in evaluation.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from kilonet.kernels.trunk import Draws

_LEVELS = 2**16  # what 16 bits can tell apart
_INTEGERS = {  # as wide as the numbers that they mask
    torch.bfloat16: torch.int16,
    torch.float16: torch.int16,
    torch.float32: torch.int32,
    torch.float64: torch.int64,
}


class Dropout(nn.Dropout):
    """``nn.Dropout`` with a fast mask for training on the CPU; elsewhere it is ``nn.Dropout``.

    The probability of zeroing an element is ``p`` rounded to the nearest 1/65,536, and kept
    elements are divided by the probability of keeping one *after* that rounding, so the
    expectation of the output is the input. The mask is a function of the state of PyTorch's
    default generator (``torch.manual_seed``), the number of elements and ``p``; it runs in the
    order of the input's memory, so the channels-last and contiguous layouts of one tensor get
    different masks.

    Input and output are floating-point tensors of any shape, of the same dtype and memory
    layout. Inputs on other devices, that are neither contiguous nor channels-last, or whose ``p``
    rounds to 0 or 1 without being 0, are left to ``torch.nn.functional.dropout``.
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
        """Say whether training takes the fast path for ``input``."""
        return (
            not self.inplace
            and self.has_draws()
            and input.device.type == "cpu"
            and input.dtype in _INTEGERS
            and (input.is_contiguous() or _is_channels_last(input))
        )

    def after_relu(self, input: Tensor) -> Tensor:
        """Return ReLU and dropout of ``input`` in training, all but the scaling by ``scale``.

        Both only zero elements, so one mask does both. Ask ``is_fast_for`` first.
        """
        kept: Tensor = _MaskedReLU.apply(input, self._dropped_levels)  # type: ignore[no-untyped-call]
        return kept

    def has_draws(self) -> bool:
        """Say whether sixteen bits can tell which elements are kept; not where all or none are."""
        return 0 < self._dropped_levels < _LEVELS

    def draws(self) -> Draws:
        """Return what decides which elements our kernels keep in one step; see ``has_draws``."""
        least = (self._dropped_levels - _LEVELS // 2) * _LEVELS
        return Draws(_seed(), least, self.scale)

    @property
    def scale(self) -> float:
        """The factor of kept elements: one over the probability of keeping one."""
        return _LEVELS / (_LEVELS - self._dropped_levels)

    @property
    def _dropped_levels(self) -> int:
        return round(self.p * _LEVELS)


class _Masked(torch.autograd.Function):
    """Zero some elements and scale the rest; the gradient goes the same way."""

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

    Read as an integer, a number that is not negative keeps its sign and a negative one has one,
    so ReLU is a maximum of integers. The gradient goes where the output is positive: no mask has
    to be kept beside it. (A NaN may become 0 here. Where one has come from, the weights are no
    longer finite, and those are looked at after each epoch.)
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
    """Return x · scale where ``kept`` is 1; the product is rounded once, to ``x``'s dtype."""
    scaled = x * scale
    scaled.view(kept.dtype).mul_(kept)
    return scaled


def _is_channels_last(x: Tensor) -> bool:
    return x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last)


def _kept_in_memory_order(x: Tensor, dropped_levels: int) -> Tensor:
    """Return integers of ``x``'s shape and strides, so that multiplying by them has unit stride.

    They are as wide as ``x``'s numbers and multiply their bits, by 1 or by 0: nothing has to be
    converted.
    """
    flat = _flat_kept(x.numel(), dropped_levels).to(_INTEGERS[x.dtype])
    if x.is_contiguous():
        return flat.view(x.shape)
    batch, channels, height, width = x.shape
    return flat.view(batch, height, width, channels).permute(0, 3, 1, 2)


def _flat_kept(count: int, dropped_levels: int) -> Tensor:
    """Return ``count`` int16 values: 0 with probability dropped/65,536, else 1.

    A signed 16-bit draw is kept if it exceeds the ``dropped_levels`` lowest of its values. The
    comparison is made in place: it then answers in integers, not in booleans that would have to
    be converted.
    """
    draws = _words(count // 4 + 1).view(torch.int16)[:count]
    return draws.ge_(dropped_levels - _LEVELS // 2)


def _words(count: int) -> Tensor:
    """Return ``count`` random 64-bit words as int64: SFC64 (Doty-Humphrey's PractRand, 2010).

    Its seed is a draw of PyTorch's default generator.
    """
    return torch.from_numpy(np.random.SFC64(_seed()).random_raw(count).view(np.int64))


def _seed() -> int:
    return int(torch.empty((), dtype=torch.int64).random_())
