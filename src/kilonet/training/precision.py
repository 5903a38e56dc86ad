"""The arithmetic that a network is trained in."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch

from kilonet.errors import UsageError


def choose_precision(name: str, device: torch.device, kernels: str = "torch") -> str:
    """Return "float32" or "bfloat16" for ``name``; "auto" takes bfloat16 where it is faster.

    That is where the device computes in it: CUDA from compute capability 8.0, and processors
    whose instructions multiply bfloat16 (AVX512-BF16, AMX), but not where our own ``kernels``
    compute, "compiled", because these do so in float32.

    Raises:
        UsageError: bfloat16 was asked for by name, and the device cannot do it.
    """
    if name == "auto":
        in_half = kernels == "torch" and _computes_in_bfloat16(device)
        return "bfloat16" if in_half else "float32"
    if name == "bfloat16" and not _knows_bfloat16(device):
        raise UsageError(
            f'training.precision: "bfloat16" was asked for, but the device {device} has no '
            'arithmetic for it. Use "float32", or "auto" to have it picked.'
        )
    return name


def arithmetic(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Return the context in which a network computes in ``precision``.

    Its weights and what is computed from its logits stay float32 (Micikevicius et al., "Mixed
    precision training", 2018; bfloat16 has float32's range, so the loss needs no scaling).
    """
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")


def _computes_in_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return _knows_bfloat16(device)
    if device.type != "cpu":
        return False
    return _processor_has("avx512_bf16") or _processor_has("amx_tile")


def _processor_has(instructions: str) -> bool:
    """Return PyTorch's own answer; not every version of it has one."""
    answer = getattr(torch.cpu, f"_is_{instructions}_supported", lambda: False)
    return bool(answer())


def _knows_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    mkldnn = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    if device.type != "cpu" or not mkldnn:
        return False
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
