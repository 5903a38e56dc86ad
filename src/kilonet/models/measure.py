"""The cost of a network: stored numbers, multiply-accumulates, activation memory; its layers.

Parameters are all numbers that the deployed network needs, trained or fixed, batch norm's scale
and shift included. Only batch norm's running statistics are exempt; they are counted separately.
Multiply-accumulates come from PyTorch's own counter of floating-point operations, which counts
every convolution and matrix product, called by a module or a function. Bias additions,
normalisations and comparisons do not count.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.parameter import is_lazy
from torch.utils.flop_counter import FlopCounterMode
from torch.utils.hooks import RemovableHandle

from kilonet.errors import RecipeError

NO_KERNEL = "–"
_RUNNING = ("running_mean", "running_var")
# The number of training batches is used in training only.
_EXEMPT_BUFFERS = (*_RUNNING, "num_batches_tracked")


@dataclass(frozen=True, slots=True)
class LayerRow:
    """One call of one leaf module (a module without children), for one image.

    ``name`` is the module's dotted path in the network and ``kind`` its class. Shapes leave out
    the batch dimension: ``(C, H, W)`` or ``(features,)``, ``()`` if there is no tensor. ``kernel``
    is text, ``3×3``, or ``–`` for a layer without one. ``parameters`` is 0 if an earlier row
    counted them, so that rows add up. ``macs`` are multiply-accumulates.
    """

    name: str
    kind: str
    in_shape: tuple[int, ...]
    kernel: str
    out_shape: tuple[int, ...]
    parameters: int
    macs: int


def shape_text(shape: tuple[int, ...]) -> str:
    """Return a shape as text: ``16×14×14``, or ``–`` if there is none."""
    return "×".join(map(str, shape)) or NO_KERNEL


def count_parameters(model: nn.Module) -> int:
    """Return how many numbers the deployed network stores, without running statistics.

    All ``nn.Parameter`` count, frozen ones too, and all buffers but those of normalisation layers
    and non-persistent ones, which the constructor computes. A tensor that several modules share
    counts once.

    Raises:
        RecipeError: a lazy layer has no size yet.
    """
    return sum(tensor.numel() for tensor in _stored(model))


def parameter_bytes(model: nn.Module) -> int:
    """Return the bytes of the stored numbers in their current types (float32: 4 each)."""
    return sum(tensor.numel() * tensor.element_size() for tensor in _stored(model))


def running_statistics(model: nn.Module) -> int:
    """Return how many running means and variances the normalisation layers store."""
    buffers = [getattr(m, name) for m in model.modules() if _is_norm(m) for name in _RUNNING]
    return sum(buffer.numel() for buffer in buffers if buffer is not None)


def layers(model: nn.Module, input_shape: tuple[int, ...]) -> list[LayerRow]:
    """Return a row for each call of a leaf module, in execution order.

    ``input_shape`` is the shape of one image, ``(C, H, W)``. The function passes one image of
    zeros through the network in evaluation mode and leaves its modes, gradients, statistics and
    the random generators unchanged. Functions (``F.relu``, ``x + y``) have no row.

    Raises:
        RecipeError: the network cannot process an image of this shape.
    """
    return _observe(model, input_shape)[0]


def total_macs(model: nn.Module, input_shape: tuple[int, ...]) -> int:
    """Return the multiply-accumulates for one image, including those outside of leaf modules.

    PyTorch's counter does not see recurrent and bilinear layers. Raises like :func:`layers`.
    """
    return _observe(model, input_shape)[1]


def peak_activation_bytes(
    model: nn.Module, input_shape: tuple[int, ...], bytes_per_value: int = 4
) -> int:
    """Return the largest sum of a leaf module's input and output, in bytes.

    This is the working memory of an engine that runs the layers one by one for one image, without
    fusion and in-place operations. It does not include the parameters or the tensors that skip
    connections keep. Raises like :func:`layers`.
    """
    rows = layers(model, input_shape)
    values = (math.prod(row.in_shape) + math.prod(row.out_shape) for row in rows)
    return max(values, default=0) * bytes_per_value


def layer_kinds(model: nn.Module) -> frozenset[str]:
    """Return which of "batch-norm", "dropout", "global-average-pooling" the model contains.

    Dropout with probability 0 does not count. Global average pooling is adaptive average pooling
    to one pixel; a function in ``forward`` is not detected.
    """
    return frozenset(kind for module in model.modules() if (kind := _layer_kind(module)))


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Put ``model`` into evaluation mode, and restore the mode of each module on exit.

    ``model.train()`` would also change modules that are frozen on purpose.
    """
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def _layer_kind(module: nn.Module) -> str:
    if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
        return "batch-norm"
    if isinstance(module, nn.Dropout | nn.Dropout2d) and module.p > 0:
        return "dropout"
    if isinstance(module, nn.AdaptiveAvgPool2d) and module.output_size in (1, (1, 1)):
        return "global-average-pooling"
    return ""


def _stored(model: nn.Module) -> Iterator[Tensor]:
    seen: set[int] = set()
    for module in model.modules():
        for tensor in _own_tensors(module):
            if id(tensor) not in seen:
                seen.add(id(tensor))
                yield tensor


def _own_tensors(module: nn.Module) -> Iterator[Tensor]:
    exempt = {*module._non_persistent_buffers_set, *(_EXEMPT_BUFFERS if _is_norm(module) else ())}
    buffers = (b for name, b in module.named_buffers(recurse=False) if name not in exempt)
    for tensor in chain(module.parameters(recurse=False), buffers):
        if is_lazy(tensor):
            raise RecipeError(
                f"{type(module).__name__} does not know its size yet, so its parameters cannot be "
                "counted. Give its input size where it is constructed."
            )
        yield tensor


def _is_norm(module: nn.Module) -> bool:
    return isinstance(module, _NormBase)


def _observe(model: nn.Module, input_shape: tuple[int, ...]) -> tuple[list[LayerRow], int]:
    """Return the rows of one forward pass and its multiply-accumulates."""
    recorder = _Recorder()
    with ExitStack() as stack:
        stack.enter_context(evaluation_mode(model))
        stack.enter_context(torch.no_grad())
        for name, module in model.named_modules():
            if next(module.children(), None) is None:
                for handle in recorder.watch(name or type(module).__name__, module):
                    stack.enter_context(handle)
        stack.enter_context(recorder.counter)
        _run(model, input_shape)
    return recorder.rows, recorder.macs()


def _run(model: nn.Module, input_shape: tuple[int, ...]) -> None:
    like = next(chain(model.parameters(), model.buffers()), torch.empty(0))
    dtype = like.dtype if like.is_floating_point() else torch.float32
    try:
        model(torch.zeros(1, *input_shape, dtype=dtype, device=like.device))
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise RecipeError(
            f"{type(model).__name__} cannot process an image of {'×'.join(map(str, input_shape))}: "
            f"{reason}. Check the shapes its layers expect against that of the images."
        ) from error


class _Recorder:
    """Records a row for each call of the modules that it watches."""

    def __init__(self) -> None:
        self.rows: list[LayerRow] = []
        self.counter = FlopCounterMode(display=False)
        self._started: list[int] = []
        self._counted: set[int] = set()

    def macs(self) -> int:
        """Return the multiply-accumulates so far: two floating-point operations each."""
        return int(self.counter.get_total_flops()) // 2

    def watch(self, name: str, module: nn.Module) -> tuple[RemovableHandle, ...]:
        """Register hooks on ``module``; return their handles."""

        def before(*_: Any) -> None:
            self._started.append(self.macs())

        def after(
            used: nn.Module, args: tuple[Any, ...], named: dict[str, Any], output: Any
        ) -> None:
            macs = self.macs() - self._started.pop()
            in_shape = _shape((*args, *named.values()))
            self.rows.append(self._row(name, used, in_shape, _shape(output), macs))

        return (
            module.register_forward_pre_hook(before),
            module.register_forward_hook(after, with_kwargs=True),
        )

    def _row(
        self,
        name: str,
        module: nn.Module,
        in_shape: tuple[int, ...],
        out_shape: tuple[int, ...],
        macs: int,
    ) -> LayerRow:
        fresh = [t for t in _own_tensors(module) if id(t) not in self._counted]
        self._counted.update(map(id, fresh))
        return LayerRow(
            name=name,
            kind=type(module).__name__,
            in_shape=in_shape,
            kernel=_kernel(module, len(in_shape) - 1),
            out_shape=out_shape,
            parameters=sum(tensor.numel() for tensor in fresh),
            macs=macs,
        )


def _shape(value: Any) -> tuple[int, ...]:
    """Return the shape, without the batch, of the first tensor in a module's input or output."""
    if isinstance(value, tuple | list):
        return next((s for s in map(_shape, value) if s), ())
    return tuple(value.shape[1:]) if isinstance(value, Tensor) else ()


def _kernel(module: nn.Module, dimensions: int) -> str:
    size = getattr(module, "kernel_size", None)
    if isinstance(size, int):
        size = (size,) * max(dimensions, 1)
    return "×".join(map(str, size)) if isinstance(size, tuple) else NO_KERNEL
