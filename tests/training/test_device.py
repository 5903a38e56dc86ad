"""Devices by name, what is said where there is none, and what a process is set to."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator

import pytest
import torch

from kilonet.errors import UsageError
from kilonet.training import device
from kilonet.training.device import choose_device, configure, keep_freed_memory


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, int]]:
    """A machine with as many CUDA and MPS devices as the test says."""
    has = {"cuda": 0, "mps": 0}
    monkeypatch.setattr(torch.cuda, "device_count", lambda: has["cuda"])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has["cuda"] > 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: has["mps"] > 0)
    yield has


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"), [(0, 0, "cpu"), (0, 1, "mps"), (2, 0, "cuda"), (1, 1, "cuda")]
)
def test_auto_takes_the_best(machine: dict[str, int], cuda: int, mps: int, expected: str) -> None:
    machine.update(cuda=cuda, mps=mps)
    assert choose_device("auto") == torch.device(expected)


def test_named(machine: dict[str, int]) -> None:
    machine.update(cuda=2, mps=1)
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device("mps") == torch.device("mps")
    assert choose_device("cuda") == torch.device("cuda")
    assert choose_device("cuda:1") == torch.device("cuda", 1)


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("cude", ' Did you mean "cuda"?'),
        ("CPU", ' Did you mean "cpu"?'),
        ("gpu", ' Did you mean "cpu"?'),
        ("tpu-v5", ""),
        ("", ""),
        ("cpu:", None),
        ("cpu:3", None),
        ("cuda:", None),
        ("cuda:-1", None),
        ("cuda:²", None),
        ("cuda:0x1", None),
        ("mps:1", None),
        ("auto:0", None),
    ],
)
def test_unknown(machine: dict[str, int], name: str, suggestion: str | None) -> None:
    machine.update(cuda=2, mps=1)
    with pytest.raises(UsageError) as info:
        choose_device(name)
    message = str(info.value)
    assert message.startswith(f'There is no device "{name}".')
    assert message.endswith(" Known: auto, cpu, cuda, cuda:N, mps.")
    if suggestion is not None:
        assert message == (
            f'There is no device "{name}".{suggestion} Known: auto, cpu, cuda, cuda:N, mps.'
        )


@pytest.mark.parametrize(("count", "name"), [(0, "cuda"), (0, "cuda:0"), (2, "cuda:2")])
def test_absent_cuda(machine: dict[str, int], count: int, name: str) -> None:
    machine.update(cuda=count)
    with pytest.raises(UsageError, match=rf'"{name}" was asked for, but .* finds {count} CUDA'):
        choose_device(name)


def test_absent_mps(machine: dict[str, int]) -> None:
    with pytest.raises(UsageError, match=r'"mps" was asked for, but this machine has none\. Leave'):
        choose_device("mps")


def test_threads() -> None:
    assert configure(torch.device("cpu"), 2, deterministic=False) == 2
    assert torch.get_num_threads() == 2
    assert configure(torch.device("cpu"), None, deterministic=False) == 2
    assert not torch.are_deterministic_algorithms_enabled()


def test_deterministic_on_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    asked: list[bool] = []
    monkeypatch.setattr(torch, "use_deterministic_algorithms", asked.append)
    configure(torch.device("cuda"), None, deterministic=False)
    assert asked == []
    configure(torch.device("cuda"), None, deterministic=True)
    assert asked == [True]
    assert not torch.backends.cudnn.benchmark
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"


def test_other_systems_keep_their_allocator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: pytest.fail("there is no glibc to ask"))
    monkeypatch.setattr(sys, "platform", "darwin")
    keep_freed_memory()


@pytest.mark.parametrize("library", [object(), OSError("no such library")])
def test_linux_without_glibc(monkeypatch: pytest.MonkeyPatch, library: object) -> None:
    def load(_: None) -> object:
        if isinstance(library, OSError):
            raise library
        return library

    monkeypatch.setattr(device.ctypes, "CDLL", load)
    monkeypatch.setattr(sys, "platform", "linux")
    keep_freed_memory()
