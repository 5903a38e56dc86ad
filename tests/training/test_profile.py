"""Where the time goes, and the arithmetic limit."""

from __future__ import annotations

import time

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from trials import fit, recipe

from kilonet.models.build import build
from kilonet.progress import Reporter
from kilonet.recipe.load import resolve
from kilonet.training import profile
from kilonet.training.distributed import ProcessGroup
from kilonet.training.profile import PHASES, PhaseTimer, flops_per_image, throughput

CPU = torch.device("cpu")


def test_seconds_add_up_by_phase(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(profile.time, "perf_counter", lambda: now[0])
    watch = PhaseTimer(CPU)
    for phase, seconds in (("forward", 2.0), ("backward", 3.0), ("forward", 0.5)):
        with watch(phase):
            now[0] += seconds
        now[0] += 10
    expected = dict.fromkeys(PHASES, 0.0) | {"forward": 2.5, "backward": 3.0}
    assert watch.seconds == expected


@pytest.mark.parametrize(("wait", "waits"), [(False, 0), (True, 2)])
def test_a_gpu_is_waited_for_only_if_asked(
    wait: bool, waits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "synchronize", waited.append)
    device = torch.device("cuda", 1)
    for watch in (PhaseTimer(device, wait=wait), PhaseTimer(CPU, wait=wait)):
        for phase in ("forward", "backward"):
            with watch(phase):
                pass
    assert waited == [device] * waits


def test_the_phases_of_a_training() -> None:
    running = fit("model.layers=c32 c32 p2 c32", "training.epochs=1", "training.ema=0.9")
    began = time.perf_counter()
    running.run(lambda _: None, Reporter())
    whole = time.perf_counter() - began
    seconds = running.phases.seconds
    assert all(seconds[name] > 0 for name in PHASES)
    assert 0.6 * whole < sum(seconds.values()) <= whole
    assert max(seconds, key=lambda name: seconds[name]) in ("forward", "backward")


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
    monkeypatch.setattr(profile, "SECONDS", 0.02)
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
    monkeypatch.setattr(profile, "SECONDS", 0.0)
    types: list[torch.dtype] = []
    product = torch.mm

    def seen(left: torch.Tensor, right: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
        types.append(left.dtype)
        return product(left, right, out=out)

    monkeypatch.setattr(torch, "mm", seen)
    assert throughput(CPU, "bfloat16", size=64) > 0
    assert types == [torch.bfloat16] * 2


def test_every_device_has_a_size() -> None:
    assert set(profile.SIZES) == {"cpu", "cuda", "mps"}
    assert recipe().training.precision in profile.DTYPES


class FinishedFit:
    """As much of a fit as the limit is measured for."""

    def __init__(self, kind: str, processes: int) -> None:
        self.device = torch.device(kind)
        self.group = ProcessGroup(0, processes)


@pytest.mark.parametrize(
    ("kind", "processes", "cores", "hardware", "times"),
    [
        ("cpu", 1, 4, "1 thread", 1),
        ("cpu", 2, 4, "2 threads", 2),
        ("cpu", 8, 2, "8 threads", 2),  # on four machines of two cores
        ("cuda", 1, 1, "1 cuda", 1),
        ("cuda", 4, 4, "4 cuda", 4),
    ],
)
def test_the_limit_counts_all_processes(
    kind: str,
    processes: int,
    cores: int,
    hardware: str,
    times: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    used: list[int] = []

    def measured(device: torch.device, precision: str) -> float:
        used.append(torch.get_num_threads())
        return 1e9 * (used[-1] if kind == "cpu" else 1)

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    monkeypatch.setattr(profile, "compute_units", lambda device: cores)
    monkeypatch.setattr(profile, "throughput", measured)
    fit = FinishedFit(kind, processes)
    assert profile._limit(fit, "float32") == 1e9 * processes
    assert used == [times if kind == "cpu" else 1]
    assert profile._hardware(fit) == hardware
    assert torch.get_num_threads() == 1
    torch.set_num_threads(before)
