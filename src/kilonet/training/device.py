"""How a network is computed: device, threads, precision and kernels.

``choose_compute`` decides all of it once, before a training begins.
"""

from __future__ import annotations

import ctypes
import os
import re
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import torch
from torch import nn

from kilonet.errors import UsageError, nearest
from kilonet.kernels.library import KernelError, load, must_compile, uses_threads
from kilonet.machine import processors
from kilonet.models.base import Network
from kilonet.models.compiling import can_fuse
from kilonet.progress import Reporter
from kilonet.recipe.schema import Recipe
from kilonet.training.transfer import is_frozen

KINDS = ("auto", "cpu", "cuda", "mps")
_NAME = re.compile(r"(cpu|mps)|cuda(:\d{1,4})?", re.ASCII)


def choose_device(name: str) -> torch.device:
    """Return the device called ``name``; "auto" takes CUDA, else MPS, else the CPU."""
    if name == "auto":
        return torch.device(_best_kind())
    if not _NAME.fullmatch(name):
        raise UsageError(
            f'There is no device "{name}".{nearest(name.lower(), KINDS)} '
            "Known: auto, cpu, cuda, cuda:N, mps."
        )
    kind, _, index = name.partition(":")
    if kind == "cuda" and int(index or 0) >= torch.cuda.device_count():
        raise UsageError(
            f'The device "{name}" was requested, but PyTorch {torch.__version__} finds '
            f"{torch.cuda.device_count()} CUDA devices here. Leave out training.device to have "
            "one picked."
        )
    if kind == "mps" and not torch.backends.mps.is_available():
        raise UsageError(
            'The device "mps" was requested, but this machine has none. Leave out training.device '
            "to have one picked."
        )
    return torch.device(name)


def device_of_process(device: str, local_rank: int) -> torch.device:
    """Return the device of process ``local_rank`` on this machine: each has its own GPU."""
    chosen = choose_device(device)
    if chosen.type != "cuda":
        return chosen
    torch.cuda.set_device(local_rank)
    return torch.device("cuda", local_rank)


@dataclass(frozen=True)
class Compute:
    """How a recipe is trained here.

    ``recipe`` has the kernels and the precision that are used. ``note`` says why PyTorch's kernels
    are used where the compiled ones would be faster; it is None if there is nothing to say.
    """

    recipe: Recipe
    device: torch.device
    note: str | None


def choose_compute(
    recipe: Recipe, network: nn.Module | None = None, reporter: Reporter | None = None
) -> Compute:
    """Return the device, kernels and precision for ``recipe`` on this machine.

    ``network`` is the network to train: "auto" takes compiled kernels if they support it.
    ``reporter`` receives a message if the kernels must be compiled first, which takes seconds.

    Raises:
        UsageError: the device, kernels or precision that the recipe names are not available.
    """
    training = recipe.training
    device = choose_device(training.device)
    kernels: str = training.kernels
    note: str | None = None
    if kernels == "auto" and (not _suits(network) or training.precision == "bfloat16"):
        kernels = "torch"
    elif kernels != "torch" and network is not None and is_frozen(network):
        if kernels == "compiled":
            raise UsageError(
                'training.kernels: "compiled" was requested, but these kernels train all layers, '
                'and some are frozen. Use "auto" or "torch".'
            )
        kernels = "torch"
        note = "The faster compiled kernels are not used: they train all layers; some are frozen."
    elif kernels != "torch":
        if reporter is not None and device.type == "cpu" and must_compile():
            reporter.message("Compiling kernels for this processor, which takes some seconds ...")
        kernels, note = choose_kernels(kernels, device, training.threads)
    precision = choose_precision(training.precision, device, kernels)
    return Compute(recipe.with_training(kernels=kernels, precision=precision), device, note)


def _suits(network: nn.Module | None) -> bool:
    """Return whether the compiled kernels support ``network``; None stands for any."""
    if network is None:
        return True
    return isinstance(network, Network) and can_fuse(network.blocks())


def compute_units(device: torch.device) -> int:
    """Return how many GPUs there are, or how many cores this process may use."""
    if device.type == "cuda":
        return torch.cuda.device_count()
    return len(processors()) if device.type == "cpu" else 1


@contextmanager
def threads_restored() -> Iterator[None]:
    """Restore the number of PyTorch's CPU threads at the end."""
    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _best_kind() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def configure(device: torch.device, threads: int | None, deterministic: bool) -> int:
    """Set threads and determinism for this process; return the number of CPU threads in use."""
    if threads is not None:
        torch.set_num_threads(threads)
    if device.type == "cpu":
        keep_freed_memory()
    elif device.type == "cuda" and deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
        torch.backends.cudnn.benchmark = False
    return torch.get_num_threads()


def keep_freed_memory() -> None:
    """Ask glibc to keep freed blocks instead of returning them to the kernel.

    Each step allocates and frees the same activations. By default glibc maps blocks over 32 MiB
    (128 KiB at first) anew each time, and the kernel zeroes every page again: about a fifth of
    a step. Without glibc nothing happens. See mallopt(3).
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    trim_threshold, top_pad, mmap_max = -1, -2, -4
    mallopt(mmap_max, 0)
    mallopt(trim_threshold, 2**31 - 1)
    mallopt(top_pad, 2**26)


def choose_kernels(
    name: str, device: torch.device, threads: int | None = None
) -> tuple[str, str | None]:
    """Return "torch" or "compiled" for ``name``, and why "auto" cannot take compiled ones.

    "auto" takes compiled ones on a CPU where they are available, and for more than one of
    ``threads`` (by default PyTorch's number) only if they can use several. The reason is None if
    compiled ones were not wanted, or are for another device.
    """
    if name == "torch" or (name == "auto" and device.type != "cpu"):
        return "torch", None
    try:
        if device.type != "cpu":
            raise KernelError(f"they are for CPUs, and the device is {device}")
        library = load()
        in_one = (threads or torch.get_num_threads()) == 1
        if name == "auto" and not (in_one or uses_threads(library)):
            raise KernelError("the C compiler has no OpenMP, so they would use one thread only")
    except KernelError as error:
        if name == "auto":
            return "torch", f"The faster compiled kernels are not used: {error}."
        raise UsageError(
            f'training.kernels: "compiled" was requested, but {error}. Use "torch", or "auto" to '
            "have them where they are available."
        ) from error
    return "compiled", None


def use_kernels(kernels: str, model: nn.Module, device: torch.device) -> nn.Module:
    """Return ``model`` on ``device``, ready to be trained with ``kernels``.

    Its weights have the memory format that is fastest with those kernels. A network that the
    compiled kernels do not support keeps PyTorch's.
    """
    if kernels == "compiled" and isinstance(model, Network) and model.compile_blocks():
        return model.to(device)
    moved: nn.Module = model.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return moved


def use_kernels_in_evaluation(kernels: str, model: nn.Module) -> None:
    """Let ``model``, which is not trained, be evaluated with ``kernels`` if they support it."""
    if kernels == "compiled" and isinstance(model, Network):
        model.compile_blocks(evaluation=True)


def choose_precision(name: str, device: torch.device, kernels: str = "torch") -> str:
    """Return "float32" or "bfloat16" for ``name``; "auto" takes bfloat16 where it is faster.

    It is faster on devices with bfloat16 arithmetic: CUDA from compute capability 8.0, and
    processors with AVX512-BF16 or AMX. Compiled ``kernels`` always compute in float32.
    """
    if name == "auto":
        in_half = kernels == "torch" and _computes_in_bfloat16(device)
        return "bfloat16" if in_half else "float32"
    if name == "bfloat16" and not _supports_bfloat16(device):
        raise UsageError(
            f'training.precision: "bfloat16" was requested, but the device {device} has no '
            'arithmetic for it. Use "float32", or "auto" to have it picked.'
        )
    return name


def arithmetic(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Return the context in which a network computes in ``precision``.

    Its weights, and everything computed from its logits, stay float32 (Micikevicius et al.,
    "Mixed precision training", 2018; bfloat16 has the range of float32, so the loss needs no
    scaling).
    """
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")


def _computes_in_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return _supports_bfloat16(device)
    if device.type != "cpu":
        return False
    return _processor_has("avx512_bf16") or _processor_has("amx_tile")


def _processor_has(instructions: str) -> bool:
    """Return PyTorch's own answer; not every version of it has one."""
    answer = getattr(torch.cpu, f"_is_{instructions}_supported", lambda: False)
    return bool(answer())


def _supports_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    mkldnn = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    if device.type != "cpu" or not mkldnn:
        return False
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
