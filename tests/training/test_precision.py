"""Which arithmetic is chosen, and what training in bfloat16 leaves in float32."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from trials import figures, fit, same, trained

from kilonet.errors import UsageError
from kilonet.progress import Silent
from kilonet.training import precision
from kilonet.training.precision import arithmetic, choose_precision

HALF = "training.precision=bfloat16"


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A machine with a GPU and a processor that can do what the test says."""
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
def test_choice(
    machine: dict[str, Any], has: dict[str, Any], device: str, chosen: str, possible: bool
) -> None:
    machine.update(has)
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
    monkeypatch.setattr(precision, "_knows_bfloat16", lambda device: True)


def test_only_the_networks_layers_are_in_bfloat16(able: None) -> None:
    running = fit(HALF, "training.ema=0.9", "optimizer.momentum=0.9", "training.epochs=2")
    seen: set[tuple[bool, bool, torch.dtype]] = set()

    def look(module: Any, _: Any, output: torch.Tensor) -> None:
        seen.add((module.training, torch.is_autocast_enabled("cpu"), output.dtype))

    running.model.register_forward_hook(look)
    assert running.ema is not None
    running.ema.module.register_forward_hook(look)
    outcome = running.run(lambda _: None, Silent())
    assert seen == {(True, True, torch.bfloat16), (False, False, torch.float32)}
    floating = [t for t in outcome.last.values() if t.is_floating_point()]
    moments = [state["momentum_buffer"] for state in running.optimizer.state.values()]
    gradients = [p.grad for p in running.model.parameters() if p.grad is not None]
    assert {t.dtype for t in (*floating, *moments, *gradients)} == {torch.float32}


def test_learns_as_well_by_other_roundings(able: None) -> None:
    words = ("training.epochs=6", "optimizer.momentum=0.9")
    half, full = trained(HALF, *words), trained(*words)
    losses = [row["train_loss"] for row in half.history]
    assert losses[-1] < losses[0] - 0.1
    assert losses[-1] == pytest.approx(full.history[-1]["train_loss"], abs=0.1)
    assert not same(half.last, full.last)
    assert figures(half.history) == figures(trained(HALF, *words).history)
