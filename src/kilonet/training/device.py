"""Where a network is trained, with how many threads, and what the machine is asked to do."""

from __future__ import annotations

import ctypes
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from kilonet.errors import UsageError, nearest
from kilonet.machine import processors

KINDS = ("auto", "cpu", "cuda", "mps")
_NAME = re.compile(r"(cpu|mps)|cuda(:\d{1,4})?", re.ASCII)


def choose_device(name: str) -> torch.device:
    """Return the device called ``name``; "auto" takes CUDA, else MPS, else the CPU.

    Raises:
        UsageError: no such kind of device, or this machine has none.
    """
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
            f'The device "{name}" was asked for, but PyTorch {torch.__version__} finds '
            f"{torch.cuda.device_count()} CUDA devices here. Leave out training.device to have "
            "one picked."
        )
    if kind == "mps" and not torch.backends.mps.is_available():
        raise UsageError(
            'The device "mps" was asked for, but this machine has none. Leave out training.device '
            "to have one picked."
        )
    return torch.device(name)


def one_of_several(device: str, rank: int) -> torch.device:
    """Return the device of worker ``rank`` on this machine: with GPUs each has its own."""
    chosen = choose_device(device)
    if chosen.type != "cuda":
        return chosen
    torch.cuda.set_device(rank)
    return torch.device("cuda", rank)


def places(device: torch.device) -> int:
    """Return how many workers can compute at the same time: GPUs, or cores free to this process."""
    if device.type == "cuda":
        return torch.cuda.device_count()
    return len(processors()) if device.type == "cpu" else 1


@contextmanager
def same_threads_after() -> Iterator[None]:
    """Leave this process with the number of CPU threads that it has now."""
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
    (128 KiB at first) afresh each time, and the kernel zeroes every page again: about a fifth of
    a step here. Where there is no glibc nothing happens. See mallopt(3).
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
