"""Devices, threads, kernels and precision: what is chosen, what is refused, what is computed."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from trials import figures, fit, same, trained

from kilonet.errors import UsageError
from kilonet.kernels.library import KernelError
from kilonet.models.base import Network
from kilonet.models.build import build
from kilonet.progress import Reporter
from kilonet.recipe.load import resolve
from kilonet.training import device
from kilonet.training.device import (
    arithmetic,
    choose_compute,
    choose_device,
    choose_kernels,
    choose_precision,
    configure,
    keep_freed_memory,
)


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
    with pytest.raises(UsageError, match=rf'"{name}" was requested, but .* finds {count} CUDA'):
        choose_device(name)


def test_absent_mps(machine: dict[str, int]) -> None:
    with pytest.raises(UsageError, match=r'"mps" was requested, but this machine has none\. Leave'):
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


CPU = torch.device("cpu")
OURS = "training.kernels=compiled"
SILU = ("model.activation=silu", 'model.layers="c4 M d6 r c8 M"', "model.pool_first=true")


@pytest.mark.compiler
def test_choice_of_kernels() -> None:
    assert choose_kernels("torch", CPU) == ("torch", None)
    assert choose_kernels("compiled", CPU) == ("compiled", None)
    assert choose_kernels("auto", CPU) == ("compiled", None)
    assert choose_kernels("auto", torch.device("cuda")) == ("torch", None)
    with pytest.raises(UsageError, match=r'the device is cuda.*Use "torch"'):
        choose_kernels("compiled", torch.device("cuda"))


def test_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise KernelError("there is no C compiler (cc, gcc, clang) on this machine")

    monkeypatch.setattr(device, "load", missing)
    assert choose_kernels("torch", CPU) == ("torch", None)
    kernels, note = choose_kernels("auto", CPU)
    assert kernels == "torch"
    assert note == (
        "The faster compiled kernels are not used: there is no C compiler (cc, gcc, clang) on this "
        "machine."
    )
    with pytest.raises(UsageError, match='"compiled" was requested, but there is no C compiler'):
        choose_kernels("compiled", CPU)


def test_without_openmp(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "load", object)
    monkeypatch.setattr(device, "uses_threads", lambda _: False)
    assert choose_kernels("auto", CPU, threads=1) == ("compiled", None)
    kernels, note = choose_kernels("auto", CPU, threads=2)
    assert kernels == "torch"
    assert note is not None
    assert "no OpenMP" in note
    assert choose_kernels("compiled", CPU, threads=2) == ("compiled", None)


@pytest.mark.compiler
@pytest.mark.parametrize(
    ("changes", "kernels"),
    [
        ((), "compiled"),
        (("training.kernels=torch",), "torch"),
        (("training.precision=auto",), "compiled"),
        (("training.precision=bfloat16",), "torch"),
        (("model.name=stacked-1x1",), "torch"),
    ],
)
def test_auto_takes_compiled_kernels_where_they_apply(
    monkeypatch: pytest.MonkeyPatch, changes: tuple[str, ...], kernels: str
) -> None:
    monkeypatch.setattr(device, "_supports_bfloat16", lambda _: True)
    recipe = resolve("quick", changes).recipe
    compute = choose_compute(recipe, build(recipe.model, (1, 28, 28), 10))
    assert compute.recipe.training.kernels == kernels
    assert compute.note is None


@pytest.mark.compiler
def test_a_network_that_the_kernels_know_is_theirs() -> None:
    network = fit(OURS).model
    assert isinstance(network, Network)
    assert network.has_compiled_blocks
    theirs = fit("training.kernels=torch").model
    assert isinstance(theirs, Network)
    assert not theirs.has_compiled_blocks


@pytest.mark.compiler
def test_a_network_that_they_do_not_know_is_pytorchs() -> None:
    words = ('model.layers="c4 A c8 M"', "training.epochs=1")  # average pooling
    ours, theirs = trained(OURS, *words), trained(*words)
    assert all(torch.equal(ours.last[name], tensor) for name, tensor in theirs.last.items())


@pytest.mark.compiler
@pytest.mark.parametrize("words", [(), SILU], ids=["relu", "silu"])
def test_a_first_epoch_is_the_same_to_rounding(words: tuple[str, ...]) -> None:
    """Few steps, so that rounding has no time to grow; without dropout, whose draws differ."""
    words = (*words, "model.dropout=0.0", "training.epochs=1", "optimizer.lr=0.01")
    ours, theirs = trained(OURS, *words), trained(*words)
    for row, other in zip(ours.history, theirs.history, strict=True):
        assert row["train_loss"] == pytest.approx(other["train_loss"], abs=1e-4)
    for name, tensor in theirs.last.items():
        torch.testing.assert_close(ours.last[name], tensor, atol=1e-3, rtol=1e-3)


@pytest.mark.compiler
def test_learns_as_well_with_compiled_kernels() -> None:
    words = ("training.epochs=6", "optimizer.momentum=0.9")
    ours, theirs = trained(OURS, *words), trained(*words)
    losses = [row["train_loss"] for row in ours.history]
    assert losses[-1] < losses[0] - 0.1
    assert losses[-1] == pytest.approx(theirs.history[-1]["train_loss"], abs=0.1)
    assert trained(OURS, *words).last.keys() == theirs.last.keys()


@pytest.mark.compiler
def test_repeats_to_the_bit() -> None:
    first, second = trained(OURS, *SILU), trained(OURS, *SILU)
    assert all(torch.equal(first.last[name], tensor) for name, tensor in second.last.items())


HALF = "training.precision=bfloat16"


@pytest.fixture
def processor(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A processor with a GPU and a processor that can do what the test says."""
    has: dict[str, Any] = {"avx512_bf16": False, "amx_tile": False, "mkldnn": True, "gpu": (7, 5)}

    class Mkldnn:
        def _is_mkldnn_bf16_supported(self) -> bool:
            return bool(has["bfloat16"])

    for name in ("avx512_bf16", "amx_tile"):
        monkeypatch.setattr(torch.cpu, f"_is_{name}_supported", lambda name=name: has[name])
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: has["mkldnn"])
    monkeypatch.setattr(torch.ops, "mkldnn", Mkldnn())
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: has["gpu"])
    return has


@pytest.mark.parametrize(
    ("has", "device", "chosen", "possible"),
    [
        ({"bfloat16": False}, "cpu", "float32", False),
        ({"bfloat16": True}, "cpu", "float32", True),  # it can, but gains nothing
        ({"bfloat16": True, "avx512_bf16": True}, "cpu", "bfloat16", True),
        ({"bfloat16": True, "amx_tile": True}, "cpu", "bfloat16", True),
        ({"bfloat16": True, "mkldnn": False}, "cpu", "float32", False),
        ({"gpu": (7, 5)}, "cuda", "float32", False),
        ({"gpu": (8, 0)}, "cuda:1", "bfloat16", True),
        ({"gpu": (9, 0)}, "cuda", "bfloat16", True),
        ({}, "mps", "float32", False),
    ],
)
def test_choice_of_precision(
    processor: dict[str, Any], has: dict[str, Any], device: str, chosen: str, possible: bool
) -> None:
    processor.update(has)
    where = torch.device(device)
    assert choose_precision("auto", where) == chosen
    assert choose_precision("float32", where) == "float32"
    if possible:
        assert choose_precision("bfloat16", where) == "bfloat16"
        return
    with pytest.raises(UsageError) as caught:
        choose_precision("bfloat16", where)
    assert f"the device {device} has no arithmetic for it" in str(caught.value)
    assert 'Use "float32"' in str(caught.value)


def test_a_version_of_pytorch_that_cannot_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported")
    monkeypatch.delattr(torch.cpu, "_is_amx_tile_supported")
    assert choose_precision("auto", torch.device("cpu")) == "float32"


def test_arithmetic() -> None:
    ones = torch.ones(2, 2)
    with arithmetic("bfloat16", torch.device("cpu")):
        assert (ones @ ones).dtype == torch.bfloat16
    with arithmetic("float32", torch.device("cpu")):
        assert (ones @ ones).dtype == torch.float32
    assert (ones @ ones).dtype == torch.float32


@pytest.fixture
def able(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch computes in bfloat16 everywhere, if need be slowly."""
    monkeypatch.setattr(device, "_supports_bfloat16", lambda device: True)


def test_only_the_networks_layers_are_in_bfloat16(able: None) -> None:
    running = fit(HALF, "training.ema=0.9", "optimizer.momentum=0.9", "training.epochs=2")
    seen: set[tuple[bool, bool, torch.dtype]] = set()

    def look(module: Any, _: Any, output: torch.Tensor) -> None:
        seen.add((module.training, torch.is_autocast_enabled("cpu"), output.dtype))

    running.model.register_forward_hook(look)
    assert running.ema is not None
    running.ema.module.register_forward_hook(look)
    outcome = running.run(lambda _: None, Reporter())
    assert seen == {(True, True, torch.bfloat16), (False, False, torch.float32)}
    floating = [t for t in outcome.last.values() if t.is_floating_point()]
    moments = [state["momentum_buffer"] for state in running.optimizer.state.values()]
    gradients = [p.grad for p in running.model.parameters() if p.grad is not None]
    assert {t.dtype for t in (*floating, *moments, *gradients)} == {torch.float32}


def test_learns_as_well_in_bfloat16(able: None) -> None:
    words = ("training.epochs=6", "optimizer.momentum=0.9")
    half, full = trained(HALF, *words), trained(*words)
    losses = [row["train_loss"] for row in half.history]
    assert losses[-1] < losses[0] - 0.1
    assert losses[-1] == pytest.approx(full.history[-1]["train_loss"], abs=0.1)
    assert not same(half.last, full.last)
    assert figures(half.history) == figures(trained(HALF, *words).history)
