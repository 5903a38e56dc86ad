"""Max pooling, batch norm, nonlinearity and dropout as one differentiable step on the CPU.

In networks of a few kilo-parameters these take most of a training step's time. Done by PyTorch each
passes over memory for itself, and its kernels for channels-last tensors of 6 to 32 channels use
little of the processor's vectors. The kernels of ``block_end.c`` read and write each element as few
times as batch norm lets them, and compute the same to rounding.

Batch norm: Ioffe and Szegedy 2015, the gradient as in their section 3. ReLU's slope at 0 is 0.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from kilonet.kernels.library import load

ACTIVATIONS: dict[type[nn.Module], int] = {nn.ReLU: 0, nn.SiLU: 1}
_TYPES = {torch.float32: "float32", torch.bfloat16: "bfloat16"}
_LAST = torch.channels_last
_POINTER, _LONG, _INT, _FLOAT = ctypes.c_void_p, ctypes.c_long, ctypes.c_int, ctypes.c_float
_SHAPE = (_LONG,) * 5
_END = (_INT, _POINTER, _INT, _FLOAT)  # activation, draws, least, factor
_FORWARD = (
    _POINTER,
    *_SHAPE,
    *(_POINTER,) * 6,
    _FLOAT,
    _FLOAT,
    _POINTER,
    _POINTER,
    *_END,
    _POINTER,
)
_BACKWARD = (*(_POINTER,) * 3, *_SHAPE, *(_POINTER,) * 4, *_END, *(_POINTER,) * 4)


@dataclass(frozen=True)
class Draws:
    """Which elements dropout keeps: those whose int16 draw is ``least`` or more, times ``factor``.

    ``words`` are int64 with four draws each, enough for all elements in the order of memory.
    """

    words: Tensor
    least: int
    factor: float


def is_possible_for(x: Tensor, norm: nn.BatchNorm2d, activation: nn.Module, side: int) -> bool:
    """Say whether ``block_end`` can be asked for these; pooling is by ``side`` × ``side``."""
    return (
        x.device.type == "cpu"
        and x.dtype in _TYPES
        and x.dim() == len("NCHW")
        and type(activation) in ACTIVATIONS
        and norm.affine
        and norm.running_mean is not None
        and norm.momentum is not None
        and norm.weight.dtype == torch.float32
        and len(x) * (x.shape[2] // side) * (x.shape[3] // side) > 1
    )


def block_end(
    x: Tensor, norm: nn.BatchNorm2d, activation: nn.Module, side: int, draws: Draws | None
) -> Tensor:
    """Return ``dropout(activation(norm(max_pool2d(x, side))))`` in training, channels-last.

    ``x`` is float32 or bfloat16, N×C×H×W, and so is the result; sums and statistics are float32 or
    wider. ``norm``'s running statistics move as PyTorch moves them. ``side`` 1 means no pooling,
    ``draws`` None no dropout. Ask ``is_possible_for`` first.

    Raises:
        KernelError: the kernels cannot be had on this machine.
    """
    assert norm.num_batches_tracked is not None
    norm.num_batches_tracked.add_(1)
    end = _End(norm, ACTIVATIONS[type(activation)], side, draws)
    result: Tensor = _BlockEnd.apply(x, norm.weight, norm.bias, end)  # type: ignore[no-untyped-call]
    return result


@dataclass(frozen=True)
class _End:
    """What is neither differentiated nor a number of the input."""

    norm: nn.BatchNorm2d
    activation: int
    side: int
    draws: Draws | None

    def told(self) -> tuple[int, Tensor | None, int, float]:
        """Return activation and dropout as kernels take them."""
        if self.draws is None:
            return self.activation, None, 0, 1.0
        return self.activation, self.draws.words, self.draws.least, self.draws.factor


class _BlockEnd(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, end: _End) -> Tensor:
        x = x.contiguous(memory_format=_LAST)
        (images, channels, height, width), side, norm = x.shape, end.side, end.norm
        pooled = (images, channels, height // side, width // side)
        z = torch.empty(pooled, dtype=x.dtype, memory_format=_LAST) if side > 1 else x
        place = torch.empty(z.numel() if side > 1 else 0, dtype=torch.uint8)
        y = torch.empty_like(z)
        centre, inverse = torch.empty(channels), torch.empty(channels)
        ctx.shape = (images, height, width, channels, side)
        statistics = (norm.running_mean, norm.running_var)
        _call(
            _kernel("forward", x.dtype, _FORWARD),
            *(x, *ctx.shape, z, place, weight, bias, *statistics, norm.momentum, norm.eps),
            *(centre, inverse, *end.told(), y),
        )
        ctx.end = end
        ctx.save_for_backward(z, place, weight, bias, centre, inverse)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        z, place, weight, bias, centre, inverse = ctx.saved_tensors
        images, height, width, channels, side = ctx.shape
        dy = dy.contiguous(memory_format=_LAST)
        shape = (images, channels, height, width)
        dx = torch.empty(shape, dtype=z.dtype, memory_format=_LAST)
        work = torch.empty_like(z) if side > 1 else dx
        dweight, dbias = torch.empty_like(weight), torch.empty_like(bias)
        _call(
            _kernel("backward", z.dtype, _BACKWARD),
            *(dy, z, place, *ctx.shape, weight, bias, centre, inverse, *ctx.end.told()),
            *(work, dweight, dbias, dx),
        )
        return dx, dweight, dbias, None


def _kernel(name: str, dtype: torch.dtype, arguments: tuple[Any, ...]) -> Any:
    function = getattr(load(), f"{name}_{_TYPES[dtype]}")
    if not function.argtypes:
        function.argtypes = arguments
    return function


def _call(function: Any, *arguments: Any) -> None:
    """Call a kernel; a tensor stands for where its numbers are."""
    plain = [a.data_ptr() if isinstance(a, Tensor) else a for a in arguments]
    if function(*plain):
        raise MemoryError("no memory for a training step")
