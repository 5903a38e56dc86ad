"""What a network costs: the numbers it stores, its multiply-accumulates, its activation memory.

Parameters are counted as a reader would: every number that the deployed network needs, whether it
was trained or fixed, batch norm's scale and shift included. Only batch norm's running statistics
are exempt, and are counted apart. Multiply-accumulates come from PyTorch's own counter of
floating-point operations, which sees every convolution and matrix product whatever module or
function asked for it; an addition of a bias, a normalisation or a comparison counts as none.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack
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
from kilonet.models.mode import evaluating

NO_KERNEL = "–"
_RUNNING = ("running_mean", "running_var")
# The count of training batches is a tool of training: the deployed network never reads it.
_EXEMPT_BUFFERS = (*_RUNNING, "num_batches_tracked")


@dataclass(frozen=True, slots=True)
class LayerRow:
    """One use of one leaf module (a module without children), for one image.

    ``name`` is its dotted path in the network and ``kind`` its class. Shapes are without the batch
    dimension, ``(C, H, W)`` or ``(features,)``; a use that takes or gives no tensor has ``()``.
    ``kernel`` is written ``3×3``, or ``–`` for a layer that has none. ``parameters`` is 0 in later
    uses of the same numbers, so that a column of rows adds up. ``macs`` are multiply-accumulates.
    """

    name: str
    kind: str
    in_shape: tuple[int, ...]
    kernel: str
    out_shape: tuple[int, ...]
    parameters: int
    macs: int


def count_parameters(model: nn.Module) -> int:
    """Return how many numbers the deployed network stores, running statistics exempt.

    All ``nn.Parameter`` count, frozen ones too, and all buffers but those of normalisation layers
    and those that are no part of the network's state: its constructor makes these by a formula. A
    tensor that several modules share counts once. Raises ``RecipeError`` for lazy layers whose size
    is still unknown.
    """
    return sum(tensor.numel() for tensor in _stored(model))


def parameter_bytes(model: nn.Module) -> int:
    """Return the bytes those numbers take in the types they have now (float32: 4 each)."""
    return sum(tensor.numel() * tensor.element_size() for tensor in _stored(model))


def running_statistics(model: nn.Module) -> int:
    """Return how many running means and variances the normalisation layers keep."""
    buffers = [getattr(m, name) for m in model.modules() if _is_norm(m) for name in _RUNNING]
    return sum(buffer.numel() for buffer in buffers if buffer is not None)


def layers(model: nn.Module, input_shape: tuple[int, ...]) -> list[LayerRow]:
    """Return a row for each use of a leaf module, in the order in which they run.

    ``input_shape`` is that of one image, ``(C, H, W)``. One image of zeros goes through the
    network in evaluation mode; the modes of all its modules, its gradients, its statistics and the
    random generators are as before afterwards. What plain functions do (``F.relu``, ``x + y``) has
    no row. Raises ``RecipeError`` if the network cannot process such an image.
    """
    return _observe(model, input_shape)[0]


def total_macs(model: nn.Module, input_shape: tuple[int, ...]) -> int:
    """Return the multiply-accumulates of one image, those outside of leaf modules included.

    Those of recurrent and bilinear layers are not seen by PyTorch's counter. Raises like
    :func:`layers`.
    """
    return _observe(model, input_shape)[1]


def peak_activation_bytes(
    model: nn.Module, input_shape: tuple[int, ...], bytes_per_value: int = 4
) -> int:
    """Return the most that the input and output of any one leaf module take together, in bytes.

    This is the working memory of an engine that runs the layers one after another for one image,
    fuses none and works in place nowhere. Tensors that a skip connection keeps aside meanwhile are
    not included, nor are the parameters. Raises like :func:`layers`.
    """
    rows = layers(model, input_shape)
    values = (math.prod(row.in_shape) + math.prod(row.out_shape) for row in rows)
    return max(values, default=0) * bytes_per_value


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
    """Return the rows of one image's way through the network, and all its multiply-accumulates."""
    recorder = _Recorder()
    with ExitStack() as stack:
        stack.enter_context(evaluating(model))
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
    """Makes a row of each use of the modules it watches."""

    def __init__(self) -> None:
        self.rows: list[LayerRow] = []
        self.counter = FlopCounterMode(display=False)
        self._started: list[int] = []
        self._counted: set[int] = set()

    def macs(self) -> int:
        """Return the multiply-accumulates so far: two floating-point operations each."""
        return int(self.counter.get_total_flops()) // 2

    def watch(self, name: str, module: nn.Module) -> tuple[RemovableHandle, ...]:
        """Hook into ``module``; the handles unhook."""

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
    """Return the shape of the first tensor in what goes into or out of a module, less the batch."""
    if isinstance(value, tuple | list):
        return next((s for s in map(_shape, value) if s), ())
    return tuple(value.shape[1:]) if isinstance(value, Tensor) else ()


def _kernel(module: nn.Module, dimensions: int) -> str:
    size = getattr(module, "kernel_size", None)
    if isinstance(size, int):
        size = (size,) * max(dimensions, 1)
    return "×".join(map(str, size)) if isinstance(size, tuple) else NO_KERNEL
