"""Whose kernels are chosen, and that training with ours is training all the same."""

from __future__ import annotations

import pytest
import torch
from trials import fit, trained

from kilonet.errors import UsageError
from kilonet.kernels.library import KernelError
from kilonet.models.base import Network
from kilonet.training import kernels
from kilonet.training.kernels import choose_kernels

CPU = torch.device("cpu")
OURS = "training.kernels=compiled"
SILU = ("model.activation=silu", 'model.layers="c4 M d6 r c8 M"', "model.pool_first=true")


@pytest.mark.compiler
def test_choice() -> None:
    assert choose_kernels("torch", CPU) == "torch"
    assert choose_kernels("compiled", CPU) == "compiled"
    assert choose_kernels("auto", CPU) == "compiled"
    assert choose_kernels("auto", torch.device("cuda")) == "torch"
    with pytest.raises(UsageError, match=r'the device is cuda.*Use "torch"'):
        choose_kernels("compiled", torch.device("cuda"))


def test_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise KernelError("there is no C compiler (cc, gcc, clang) on this machine")

    monkeypatch.setattr(kernels, "load", missing)
    assert choose_kernels("torch", CPU) == "torch"
    assert choose_kernels("auto", CPU) == "torch"
    with pytest.raises(UsageError, match='"compiled" was asked for, but there is no C compiler'):
        choose_kernels("compiled", CPU)


@pytest.mark.compiler
def test_a_network_that_the_kernels_know_is_theirs() -> None:
    network = fit(OURS).model
    assert isinstance(network, Network)
    assert network.has_compiled_blocks
    theirs = fit().model
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
def test_learns_as_well_by_other_roundings() -> None:
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
