"""A fused chain of convolution blocks: one differentiable operation on the CPU, for training.

In networks of a few kilo-parameters, PyTorch's kernels fill SIMD vectors with channels or columns,
of which there are few, and every module makes its own pass over memory. ``chain.c`` fills vectors
with images instead: it takes a block of as many images as a vector has numbers through several
modules while the block is in the cache. Results equal PyTorch's up to rounding, in float32.

Batch norm: Ioffe and Szegedy 2015; its gradient is that of their section 3. As in PyTorch, ReLU's
slope at 0 is 0, and max pooling's gradient goes to the first of equal values.
"""

from __future__ import annotations

import ctypes
import functools
import mmap
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch._utils import _flatten_dense_tensors, _unflatten_dense_tensors
from torch.autograd.function import once_differentiable

from kilonet.kernels.library import load

ACTIVATIONS: dict[type[nn.Module], int] = {nn.ReLU: 0, nn.SiLU: 1, nn.Identity: 2}


@dataclass(frozen=True)
class DropoutMask:
    """The dropout mask of one training step.

    Each element has a random int32, a hash of its position and of ``key`` (64 bits). Elements whose
    number is at least ``threshold`` are kept and multiplied by ``scale``; the others become 0.
    """

    key: int
    threshold: int
    scale: float


@dataclass(frozen=True)
class ConvUnit:
    """dropout(activation(norm(max_pool(conv(x))))), x from step ``source``; conv alone is required.

    ``activation`` is a code of ``ACTIVATIONS``; pooling windows are ``side`` × ``side``.
    ``dropout`` returns the mask of a training step. Where weights share stored ones, ``filters``
    are the indices of all the convolution's weights in the stored ones, and ``shift`` those of
    batch norm's shifts. With ``p4`` the convolution is a 1×1 regular one of the group p4: the
    weight from channel 4i + j to 4o + r equals that from 4i + (j - r) mod 4 to 4o.
    """

    source: int
    conv: nn.Conv2d
    side: int = 1
    norm: nn.BatchNorm2d | None = None
    activation: int = ACTIVATIONS[nn.Identity]
    dropout: Callable[[], DropoutMask] | None = None
    filters: Tensor | None = None
    p4: bool = False
    shift: Tensor | None = None

    def parameters(self) -> dict[str, Tensor]:
        """Return the unit's stored parameters by their names in ``step.h``."""
        norm = self.norm
        every = {
            "weight": self.conv.weight,
            "bias": self.conv.bias,
            "gamma": norm.weight if norm else None,
            "beta": norm.bias if norm else None,
        }
        return {name: tensor for name, tensor in every.items() if tensor is not None}

    def index(self, name: str) -> Tensor:
        """Return where the numbers of parameter ``name`` are in its stored ones."""
        shared = {"weight": self.filters, "beta": self.shift}.get(name)
        return torch.arange(self.parameters()[name].numel()) if shared is None else shared


@dataclass(frozen=True)
class ResidualAdd:
    """The sum of the values of steps ``source`` and ``other``, a unit that nothing else reads."""

    source: int
    other: int


@dataclass(frozen=True)
class MaxPooling:
    """Max pooling of the value of step ``source``, with ``side`` × ``side`` adjacent windows."""

    source: int
    side: int


ChainStep = ConvUnit | ResidualAdd | MaxPooling
"""Step 0 is the input; element n - 1 of a chain's list computes the value of step n."""

_EVALUATION_BATCH = 128

_POINTER, _LONG = ctypes.c_void_p, ctypes.c_long
_INTEGERS = (
    *("kind", "source", "other", "channels", "height", "width", "margin"),
    *("kernel", "padding", "stride", "depthwise", "side", "activation", "has_norm"),
    *("accumulates", "completes", "has_dropout", "key", "threshold", "p4", "frozen"),
)
_DOUBLES = ("dropout_scale", "momentum", "epsilon")
_TENSORS = (
    *("weight", "bias", "gamma", "beta", "mean", "variance"),
    *("dweight", "dbias", "dgamma", "dbeta"),
)


_FIELDS = (*_INTEGERS, *_DOUBLES, *_TENSORS)  # of eight bytes each
_FLOAT_BYTES = 4


class _StepFields(ctypes.Structure):
    """The fields of ``Step`` in step.h that Python sets."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in _INTEGERS),
        *((name, ctypes.c_double) for name in _DOUBLES),
        *((name, _POINTER) for name in _TENSORS),
    )


@functools.cache
def _step_type() -> type[_StepFields]:
    """Return ``Step`` of step.h: the fields set here, then those that ``chain_plan`` sets."""
    rest = load().chain_step_size() - ctypes.sizeof(_StepFields)
    return type("_Step", (_StepFields,), {"_fields_": (("own", ctypes.c_byte * rest),)})


def lanes() -> int:
    """Return the number of images in a block, which is that of float32 numbers in a vector."""
    result: int = load().chain_lanes()
    return result


_KINDS = {ConvUnit: 1, ResidualAdd: 2, MaxPooling: 3}


@dataclass
class _Saved:
    """What the backward pass needs from the forward pass."""

    steps: Any
    numbers: Tensor
    memory: Tensor
    threads: int


class _Parameters:
    """The parameters of units as one array of all numbers that the kernels compute with."""

    def __init__(self, units: Sequence[tuple[int, ConvUnit]]) -> None:
        self._units = [unit for _, unit in units]
        names = [(step, unit, name) for step, unit in units for name in unit.parameters()]
        indices = [unit.index(name) for _, unit, name in names]
        starts = np.cumsum([0, *(unit.parameters()[name].numel() for _, unit, name in names)])
        self._stored = int(starts[-1])
        self._index = torch.cat([index + at for index, at in zip(indices, starts, strict=False)])
        self._is_shared = len(self._index) != self._stored
        # Where the pointers are in an array (step, field), and the distances in bytes between them.
        self._steps = np.array([step for step, _, _ in names])
        self._fields = {prefix: np.array([_FIELDS.index(prefix + name) for *_, name in names])
                        for prefix in ("", "d")}  # fmt: skip
        self._offsets = np.cumsum([0, *map(len, indices[:-1])]) * _FLOAT_BYTES

    def tensors(self) -> list[Tensor]:
        """Return the stored parameters of all units."""
        return [tensor for unit in self._units for tensor in unit.parameters().values()]

    def expanded(self, tensors: Sequence[Tensor]) -> Tensor:
        """Return all numbers of the stored ``tensors``."""
        stored: Tensor = _flatten_dense_tensors(tensors)  # type: ignore[no-untyped-call]
        return stored.index_select(0, self._index) if self._is_shared else stored

    def gradients(self, gradient: Tensor, tensors: Sequence[Tensor]) -> Sequence[Tensor]:
        """Return the gradients of the stored ``tensors`` for that of all numbers."""
        if self._is_shared:
            stored = gradient.new_zeros(self._stored)
            gradient = stored.index_add_(0, self._index, gradient)
        parts: Sequence[Tensor] = _unflatten_dense_tensors(gradient, tensors)  # type: ignore[no-untyped-call]
        return parts

    def point(self, steps: Any, prefix: str, numbers: Tensor) -> None:
        """Let the fields of ``steps`` that begin with ``prefix`` point into ``numbers``."""
        pointers = np.frombuffer(steps, np.int64).reshape(len(steps), -1)
        pointers[self._steps, self._fields[prefix]] = numbers.data_ptr() + self._offsets


class FusedChain:
    """``layers`` applied to float32 images of shape C×H×W, in training and in evaluation.

    No step after a ``ResidualAdd`` reads that step's source. Only the first convolution may have a
    stride, and only units read the input.
    """

    def __init__(self, layers: Sequence[ChainStep], shape: tuple[int, int, int]) -> None:
        self.layers = list(layers)
        self._steps = _describe(self.layers, shape)
        units = [(n, unit) for n, unit in enumerate(self.layers, 1) if isinstance(unit, ConvUnit)]
        self._parameters = _Parameters(units)
        self._norms = [(number, unit.norm) for number, unit in units if unit.norm is not None]
        self._masks = [(number, unit.dropout) for number, unit in units if unit.dropout is not None]
        self._batch_counters = [
            norm.num_batches_tracked
            for _, norm in self._norms
            if norm.num_batches_tracked is not None
        ]
        self._memory: dict[tuple[int, int], Tensor] = {}
        self._evaluation_memory: tuple[int, Tensor] | None = None

    def __call__(self, x: Tensor) -> Tensor:
        """Return the last layer's value, float32 N×C×H×W, and update the running statistics.

        The chain uses as many threads as PyTorch. As in PyTorch, sums depend on their number.

        Raises:
            KernelError: the kernels are not available on this machine.
        """
        result: Tensor = _Applied.apply(x, self, *self._parameters.tensors())  # type: ignore[no-untyped-call]
        return result

    def forward(self, x: Tensor, parameters: Sequence[Tensor]) -> tuple[Tensor, _Saved]:
        """Return the value and what ``backward`` needs; ``x`` is contiguous float32."""
        images, threads = len(x), torch.get_num_threads()
        steps, numbers = self._batch_steps(parameters)
        for number, draw in self._masks:
            mask, step = draw(), steps[number]
            step.has_dropout, step.key = True, mask.key
            step.threshold, step.dropout_scale = mask.threshold, mask.scale
        memory = self._memory.pop((images, threads), None)
        if memory is None:
            memory = _allocate(steps, images, threads)
        y = _run(steps, x, threads, memory)
        if self._batch_counters:
            torch._foreach_add_(self._batch_counters, 1)
        return y, _Saved(steps, numbers, memory, threads)

    def evaluate(self, x: Tensor) -> Tensor:
        """Return the last layer's value in evaluation: running statistics, no dropout or gradient.

        ``x`` is float32 N×C×H×W. It is processed in batches, so that memory use stays that of a
        training step.
        """
        with torch.no_grad():
            steps, _numbers = self._batch_steps(self._parameters.tensors())
        threads = torch.get_num_threads()
        for step in steps:
            step.frozen = True
        if self._evaluation_memory is None or self._evaluation_memory[0] != threads:
            self._evaluation_memory = threads, _allocate(steps, _EVALUATION_BATCH, threads)
        values = []
        for batch in torch.split(x.contiguous(), _EVALUATION_BATCH):
            padded = nn.functional.pad(batch, (0,) * 7 + (_EVALUATION_BATCH - len(batch),))
            value = _run(steps, padded, threads, self._evaluation_memory[1])
            values.append(value[: len(batch)])
        return torch.cat(values)

    def backward(self, dy: Tensor, saved: _Saved, parameters: Sequence[Tensor]) -> Sequence[Tensor]:
        """Return the gradients of ``parameters`` for ``dy``, the gradient of the value."""
        images = len(dy)
        gradient = torch.empty_like(saved.numbers)
        self._parameters.point(saved.steps, "d", gradient)
        _call("chain_backward", saved.steps, images, saved.threads, dy.data_ptr())
        kept = list(self._memory.items())[-1:]  # the last batch of an epoch may be smaller
        self._memory = {**dict(kept), (images, saved.threads): saved.memory}
        return self._parameters.gradients(gradient, parameters)

    def _batch_steps(self, parameters: Sequence[Tensor]) -> tuple[Any, Tensor]:
        """Return a copy of the steps with pointers to this batch's numbers, and these numbers."""
        steps = type(self._steps).from_buffer_copy(self._steps)
        numbers = self._parameters.expanded(parameters)
        self._parameters.point(steps, "", numbers)
        for number, norm in self._norms:
            assert norm.running_mean is not None
            assert norm.running_var is not None
            steps[number].mean = norm.running_mean.data_ptr()
            steps[number].variance = norm.running_var.data_ptr()
        return steps, numbers


class _Applied(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, chain: FusedChain, *parameters: Tensor) -> Tensor:
        ctx.parameters, ctx.chain = parameters, chain
        y, ctx.saved = chain.forward(x.contiguous(), ctx.parameters)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        saved, ctx.saved = ctx.saved, None
        return None, None, *ctx.chain.backward(dy.float().contiguous(), saved, ctx.parameters)


def _describe(layers: list[ChainStep], shape: tuple[int, int, int]) -> Any:
    """Return the steps as C structs, without pointers to tensors."""
    steps = (_step_type() * (len(layers) + 1))()
    steps[0].channels, steps[0].height, steps[0].width = shape
    for step, layer in zip(steps[1:], layers, strict=True):
        step.kind, step.source, step.side = _KINDS[type(layer)], layer.source, 1
        source = steps[layer.source]
        step.channels, step.height, step.width = source.channels, source.height, source.width
        if isinstance(layer, ResidualAdd):
            step.other = layer.other
        else:
            if isinstance(layer, ConvUnit):
                _describe_unit(step, layer, source)
            step.side = layer.side
            step.height, step.width = step.height // layer.side, step.width // layer.side
    sources = [layer.source for layer in layers]
    for number, read in enumerate(sources):
        steps[number + 1].completes = read not in sources[:number]
        steps[number + 1].accumulates = read in sources[number + 1 :]
    return steps


def _describe_unit(step: Any, unit: ConvUnit, source: Any) -> None:
    conv, norm = unit.conv, unit.norm
    assert not isinstance(conv.padding, str)
    kernel, stride, padding = conv.kernel_size[0], conv.stride[0], conv.padding[0]
    step.kernel, step.stride, step.padding = kernel, stride, padding
    step.channels, step.depthwise = conv.out_channels, conv.groups > 1
    step.height = (source.height + 2 * padding - kernel) // stride + 1
    step.width = (source.width + 2 * padding - kernel) // stride + 1
    step.p4 = unit.p4
    step.activation, step.has_norm = unit.activation, norm is not None
    if norm is not None:
        step.momentum, step.epsilon = norm.momentum, norm.eps
    source.margin = max(source.margin, padding)


def _call(name: str, steps: Any, images: int, threads: int, *pointers: int | None) -> int:
    """Call a function of chain.c; ctypes releases the GIL during the call."""
    function = getattr(load(), name)
    function.restype = _LONG if name == "chain_plan" else None
    result: int = function(
        steps, _LONG(len(steps)), _LONG(images), _LONG(threads), *map(_POINTER, pointers)
    )
    return result


def _allocate(steps: Any, images: int, threads: int) -> Tensor:
    """Return the memory that one batch needs, as zero bytes."""
    return _zeros(_call("chain_plan", steps, images, threads, None))


def _run(steps: Any, x: Tensor, threads: int, memory: Tensor) -> Tensor:
    """Return the value of the last of ``steps`` for ``x``, computed in ``memory``."""
    images, last = len(x), steps[-1]
    _call("chain_plan", steps, images, threads, memory.data_ptr())
    y = torch.empty(images, last.channels, last.height, last.width)
    _call("chain_forward", steps, images, threads, x.data_ptr(), y.data_ptr())
    return y


def _zeros(size: int) -> Tensor:
    """Return ``size`` zero bytes at the start of a page, of a huge page where the system has them.

    Each training step reads tens of megabytes; with small pages, address translation takes about
    5 % of the time.
    """
    if not hasattr(mmap, "MADV_HUGEPAGE"):
        return torch.frombuffer(mmap.mmap(-1, size), dtype=torch.uint8)
    pages = mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)  # shared ones stay small
    with suppress(OSError):
        pages.madvise(mmap.MADV_HUGEPAGE)
    return torch.frombuffer(pages, dtype=torch.uint8)
