"""Dropout whose mask is cheap to draw on a CPU.

``torch.nn.functional.dropout`` fills its mask with ``bernoulli_``, which spends one random number
of PyTorch's serial generator, and a scalar comparison, on every element. In networks of a few
kilo-parameters that is a good part of the training time. Sixteen bits decide an element just as
well, so here one 64-bit draw decides four, and the rest is vectorised arithmetic.

The method is that of Srivastava et al., "Dropout: a simple way to prevent neural networks from
overfitting" (JMLR 15, 2014), in its inverted form: kept elements are scaled up in training, so
that nothing remains to be done in evaluation.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

_LEVELS = 2**16  # what 16 bits can tell apart


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
        dropped_levels = round(self.p * _LEVELS)
        if self.inplace or not _has_fast_path(input) or not 0 < dropped_levels < _LEVELS:
            return super().forward(input)
        mask = _mask_in_memory_order(input, dropped_levels)
        # For half precision the product is taken in float32 and rounded once: rounding the scale
        # itself to bfloat16 would move the expectation by up to 0.4 %.
        return (input * mask).to(input.dtype)


def _has_fast_path(x: Tensor) -> bool:
    dense = x.is_contiguous() or _is_channels_last(x)
    return dense and x.device.type == "cpu" and x.is_floating_point()


def _is_channels_last(x: Tensor) -> bool:
    return x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last)


def _mask_in_memory_order(x: Tensor, dropped_levels: int) -> Tensor:
    """Return a mask of ``x``'s shape and strides, so that multiplying by it has unit stride."""
    flat = _flat_mask(x.numel(), dropped_levels, torch.promote_types(x.dtype, torch.float32))
    if x.is_contiguous():
        return flat.view(x.shape)
    batch, channels, height, width = x.shape
    return flat.view(batch, height, width, channels).permute(0, 3, 1, 2)


def _flat_mask(count: int, dropped_levels: int, dtype: torch.dtype) -> Tensor:
    """Return ``count`` values: 0 with probability dropped/65,536, else 1 / (1 - that).

    A signed 16-bit draw is kept if it exceeds the ``dropped_levels`` lowest of its values. The
    comparison is written as a clamped difference of whole numbers, which is exact in float32:
    unlike ``>=``, it needs no boolean tensor that would have to be converted, element by element.
    """
    words = torch.empty((count + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
    draws = words.view(torch.int16)[:count].to(dtype)
    highest_dropped = dropped_levels - 1 - _LEVELS // 2
    scale = _LEVELS / (_LEVELS - dropped_levels)
    return draws.sub_(highest_dropped).clamp_(0, 1).mul_(scale)
