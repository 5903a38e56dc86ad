"""A chain of convolution blocks as one differentiable step on the CPU, in training.

In networks of a few kilo-parameters PyTorch's kernels use little of a processor's vectors, which
they fill with channels or columns, and every module passes over memory for itself. ``trunk.c``
fills vectors with images, and takes a block of as many of them as a vector has numbers through
several modules while it is in the cache. It computes the same to rounding, in float32.

Batch norm: Ioffe and Szegedy 2015, the gradient as in their section 3. ReLU's slope at 0 is 0, and
max pooling's gradient goes to the first of equals, as with PyTorch.
"""

from __future__ import annotations

import ctypes
import functools
import mmap
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from kilonet.kernels.library import load

ACTIVATIONS: dict[type[nn.Module], int] = {nn.ReLU: 0, nn.SiLU: 1, nn.Identity: 2}


@dataclass(frozen=True)
class Draws:
    """Which elements dropout keeps: those whose int32 draw is ``least`` or more, times ``factor``.

    A draw is a hash of the element's place and of ``key``, 64 bits.
    """

    key: int
    least: int
    factor: float


@dataclass(frozen=True)
class Unit:
    """dropout(activation(norm(max_pool(conv(value of step ``source``))))); all but conv may lack.

    ``activation`` is one of ``ACTIVATIONS``' codes; pooling is by ``side`` × ``side``. ``draws``
    gives those of a step; ``filters`` the convolution's weights and ``shift`` batch norm's shifts,
    where they compute them. With ``fours`` a 1×1 convolution's filters are of the group p4: that of
    channels 4o + r and 4i + j is that of 4o and 4i + (j - r) mod 4.
    """

    source: int
    conv: nn.Conv2d
    side: int = 1
    norm: nn.BatchNorm2d | None = None
    activation: int = ACTIVATIONS[nn.Identity]
    draws: Callable[[], Draws] | None = None
    filters: Callable[[], Tensor] | None = None
    fours: bool = False
    shift: Callable[[], Tensor] | None = None

    def parameters(self) -> dict[str, Tensor]:
        """Return what there is of the unit's parameters, by its name in ``step.h``."""
        norm = self.norm
        every = {
            "weight": self.filters() if self.filters else self.conv.weight,
            "bias": self.conv.bias,
            "gamma": norm.weight if norm else None,
            "beta": self.shift() if self.shift else norm.bias if norm else None,
        }
        return {name: tensor for name, tensor in every.items() if tensor is not None}


@dataclass(frozen=True)
class Sum:
    """The values of step ``source`` and of ``other``, a unit whose value nothing else takes."""

    source: int
    other: int


@dataclass(frozen=True)
class Pool:
    """Max pooling of the value of step ``source`` by ``side`` × ``side``, edge to edge."""

    source: int
    side: int


Layer = Unit | Sum | Pool
"""A step; step 0 is the input, and the n-th layer of a trunk makes the value of step n."""

_PORTION = 128  # images evaluated at a time

_POINTER, _LONG = ctypes.c_void_p, ctypes.c_long
_TOLD = (
    *("kind", "source", "other", "channels", "height", "width", "margin"),
    *("kernel", "padding", "stride", "depthwise", "side", "activation", "normed"),
    *("adds", "finishes", "drops", "key", "least", "fours", "frozen"),
)
_TENSORS = (
    *("weight", "bias", "gamma", "beta", "mean", "variance"),
    *("dweight", "dbias", "dgamma", "dbeta"),
)


class _Told(ctypes.Structure):
    """``Step`` of step.h, as far as it is told."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in _TOLD),
        *((name, ctypes.c_double) for name in ("factor", "momentum", "epsilon")),
        *((name, _POINTER) for name in _TENSORS),
    )


@functools.cache
def _step() -> type[_Told]:
    """Return ``Step`` of step.h: what it is told, and room for what ``trunk_plan`` finds out."""
    room = load().trunk_step_size() - ctypes.sizeof(_Told)
    return type("_Step", (_Told,), {"_fields_": (("own", ctypes.c_byte * room),)})


def lanes() -> int:
    """Return how many images are a block, as many as float32 numbers are in a vector."""
    result: int = load().trunk_lanes()
    return result


_KINDS = {Unit: 1, Sum: 2, Pool: 3}


@dataclass
class _Pass:
    """What backward needs of forward."""

    steps: Any
    memory: Tensor
    threads: int


class Trunk:
    """``layers`` applied to float32 images of shape C×H×W, in training and in evaluation.

    A ``Sum``'s source is taken by nothing after it. Only the first convolution may have a stride,
    and nothing but units takes the input.
    """

    def __init__(self, layers: Sequence[Layer], shape: tuple[int, int, int]) -> None:
        self.layers = list(layers)
        self._steps = _described(self.layers, shape)
        units = [(n, layer) for n, layer in enumerate(self.layers, 1) if isinstance(layer, Unit)]
        self._names = [(number, name) for number, unit in units for name in unit.parameters()]
        self._units = [unit for _, unit in units]
        self._tracked = [
            unit.norm.num_batches_tracked
            for _, unit in units
            if unit.norm is not None and unit.norm.num_batches_tracked is not None
        ]
        self._memory: dict[tuple[int, int], Tensor] = {}
        self._portion: tuple[int, Tensor] | None = None

    def __call__(self, x: Tensor) -> Tensor:
        """Return the last layer's value, float32 N×C×H×W, for ``x``; running statistics move.

        As many threads work on it as PyTorch uses; the sums depend on their number, as with it.

        Raises:
            KernelError: the kernels cannot be had on this machine.
        """
        result: Tensor = _Applied.apply(x, self, *self._parameters())  # type: ignore[no-untyped-call]
        return result

    def _parameters(self) -> list[Tensor]:
        return [tensor for unit in self._units for tensor in unit.parameters().values()]

    def forward(self, x: Tensor, parameters: Sequence[Tensor]) -> tuple[Tensor, _Pass]:
        """Return the value, and what ``backward`` needs. All are contiguous, x float32."""
        images, threads = len(x), torch.get_num_threads()
        steps = self._told(parameters)
        for step, layer in zip(steps[1:], self.layers, strict=True):
            if isinstance(layer, Unit) and layer.draws is not None:
                draws = layer.draws()
                step.drops, step.key = True, draws.key
                step.least, step.factor = draws.least, draws.factor
        memory = self._memory.pop((images, threads), None)
        if memory is None:
            memory = _room_for(steps, images, threads)
        y = _applied(steps, x, threads, memory)
        if self._tracked:
            torch._foreach_add_(self._tracked, 1)
        return y, _Pass(steps, memory, threads)

    def evaluated(self, x: Tensor) -> Tensor:
        """Return the last layer's value in evaluation: running statistics, no dropout, no gradient.

        ``x`` is float32 N×C×H×W; it is gone through in portions, so that memory stays what a batch
        of training takes.
        """
        parameters = [parameter.detach().contiguous() for parameter in self._parameters()]
        steps, threads = self._told(parameters), torch.get_num_threads()
        for step in steps:
            step.frozen = True
        if self._portion is None or self._portion[0] != threads:
            self._portion = threads, _room_for(steps, _PORTION, threads)
        values = []
        for some in torch.split(x.contiguous(), _PORTION):
            padded = nn.functional.pad(some, (0,) * 7 + (_PORTION - len(some),))
            values.append(_applied(steps, padded, threads, self._portion[1])[: len(some)])
        return torch.cat(values)

    def backward(self, dy: Tensor, done: _Pass, parameters: Sequence[Tensor]) -> list[Tensor]:
        """Return the gradient of each of the parameters for ``dy``, that of the value."""
        images = len(dy)
        gradients = [torch.empty_like(parameter) for parameter in parameters]
        self._point(done.steps, "d", gradients)
        _call("trunk_backward", done.steps, images, done.threads, dy.data_ptr())
        kept = list(self._memory.items())[-1:]  # an epoch's last batch may be a smaller one
        self._memory = {**dict(kept), (images, done.threads): done.memory}
        return gradients

    def _told(self, parameters: Sequence[Tensor]) -> Any:
        """Return the steps with what may change between batches."""
        steps = type(self._steps).from_buffer_copy(self._steps)
        self._point(steps, "", parameters)
        for step, layer in zip(steps[1:], self.layers, strict=True):
            if isinstance(layer, Unit) and layer.norm is not None:
                assert layer.norm.running_mean is not None
                assert layer.norm.running_var is not None
                step.mean = layer.norm.running_mean.data_ptr()
                step.variance = layer.norm.running_var.data_ptr()
        return steps

    def _point(self, steps: Any, prefix: str, tensors: Sequence[Tensor]) -> None:
        for (number, name), tensor in zip(self._names, tensors, strict=True):
            setattr(steps[number], prefix + name, tensor.data_ptr())


class _Applied(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, trunk: Trunk, *parameters: Tensor) -> Tensor:
        ctx.parameters = [parameter.detach().contiguous() for parameter in parameters]
        ctx.trunk = trunk
        y, ctx.done = trunk.forward(x.contiguous(), ctx.parameters)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        done, ctx.done = ctx.done, None
        return None, None, *ctx.trunk.backward(dy.float().contiguous(), done, ctx.parameters)


def _described(layers: list[Layer], shape: tuple[int, int, int]) -> Any:
    """Return the steps, all but where their numbers are."""
    steps = (_step() * (len(layers) + 1))()
    steps[0].channels, steps[0].height, steps[0].width = shape
    for step, layer in zip(steps[1:], layers, strict=True):
        step.kind, step.source, step.side = _KINDS[type(layer)], layer.source, 1
        source = steps[layer.source]
        step.channels, step.height, step.width = source.channels, source.height, source.width
        if isinstance(layer, Sum):
            step.other = layer.other
        else:
            if isinstance(layer, Unit):
                _describe(step, layer, source)
            step.side = layer.side
            step.height, step.width = step.height // layer.side, step.width // layer.side
    sources = [layer.source for layer in layers]
    for place, taken in enumerate(sources):
        steps[place + 1].finishes = taken not in sources[:place]
        steps[place + 1].adds = taken in sources[place + 1 :]
    return steps


def _describe(step: Any, unit: Unit, source: Any) -> None:
    conv, norm = unit.conv, unit.norm
    assert not isinstance(conv.padding, str)
    kernel, stride, padding = conv.kernel_size[0], conv.stride[0], conv.padding[0]
    step.kernel, step.stride, step.padding = kernel, stride, padding
    step.channels, step.depthwise = conv.out_channels, conv.groups > 1
    step.height = (source.height + 2 * padding - kernel) // stride + 1
    step.width = (source.width + 2 * padding - kernel) // stride + 1
    step.fours = unit.fours
    step.activation, step.normed = unit.activation, norm is not None
    if norm is not None:
        step.momentum, step.epsilon = norm.momentum, norm.eps
    source.margin = max(source.margin, padding)


def _call(name: str, steps: Any, images: int, threads: int, *places: int | None) -> int:
    """Call a function of trunk.c, which gives the GIL back meanwhile."""
    function = getattr(load(), name)
    function.restype = _LONG if name == "trunk_plan" else None
    result: int = function(
        steps, _LONG(len(steps)), _LONG(images), _LONG(threads), *map(_POINTER, places)
    )
    return result


def _room_for(steps: Any, images: int, threads: int) -> Tensor:
    """Return the memory that one batch needs."""
    return _zeros(_call("trunk_plan", steps, images, threads, None))


def _applied(steps: Any, x: Tensor, threads: int, memory: Tensor) -> Tensor:
    """Return the value of the last of ``steps`` for ``x``, worked out in ``memory``."""
    images, last = len(x), steps[-1]
    _call("trunk_plan", steps, images, threads, memory.data_ptr())
    y = torch.empty(images, last.channels, last.height, last.width)
    _call("trunk_forward", steps, images, threads, x.data_ptr(), y.data_ptr())
    return y


def _zeros(size: int) -> Tensor:
    """Return ``size`` zero bytes at the start of a page, of a large one where the system has such.

    Tens of megabytes are gone through in every step: with small pages, a twentieth of the time is
    spent on finding out where they are.
    """
    pages = mmap.mmap(-1, size)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with suppress(OSError):
            pages.madvise(mmap.MADV_HUGEPAGE)
    return torch.frombuffer(pages, dtype=torch.uint8)
