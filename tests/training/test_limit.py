"""The arithmetic limit: what a training step multiplies, and how fast that could be."""

from __future__ import annotations

import time

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from trials import recipe

from kilonet.models.build import build
from kilonet.recipe.load import resolve
from kilonet.training import limit
from kilonet.training.limit import flops_per_image, throughput

CPU = torch.device("cpu")


@pytest.mark.parametrize("name", ["gap-14k", "two-conv-fc128", "plain-valid-sgd"])
def test_flops_are_those_of_a_step(name: str) -> None:
    """PyTorch's own counter, watching a forward and a backward pass."""
    model = build(resolve(name).recipe.model)
    images = torch.randn(3, 1, 28, 28)
    with FlopCounterMode(display=False) as counter:
        model(images).sum().backward()
    assert flops_per_image(model, (1, 28, 28)) == counter.get_total_flops() / 3


def test_flops_by_hand() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(6, 5), nn.Linear(5, 4))
    # Forward 30 + 20, gradients of weights 30 + 20, of the second layer's input 20.
    assert flops_per_image(model, (1, 2, 3)) == 2 * (50 + 50 + 20)
    assert flops_per_image(nn.Flatten(), (1, 2, 3)) == 0


def test_throughput(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limit, "SECONDS", 0.02)
    began = time.perf_counter()
    found = throughput(CPU, "float32", size=256)
    assert time.perf_counter() - began < 5
    assert 1e8 < found < 1e14
    left = torch.randn(256, 256)
    began = time.perf_counter()
    for _ in range(20):
        left @ left
    usual = 20 * 2 * 256**3 / (time.perf_counter() - began)
    assert found > usual / 3


def test_throughput_in_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limit, "SECONDS", 0.0)
    types: list[torch.dtype] = []
    product = torch.mm

    def seen(left: torch.Tensor, right: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
        types.append(left.dtype)
        return product(left, right, out=out)

    monkeypatch.setattr(torch, "mm", seen)
    assert throughput(CPU, "bfloat16", size=64) > 0
    assert types == [torch.bfloat16] * 2


def test_every_device_has_a_size() -> None:
    assert set(limit.SIZES) == {"cpu", "cuda", "mps"}
    assert recipe().training.precision in limit.DTYPES
