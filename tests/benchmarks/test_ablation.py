"""The ablation: what is switched, and that nothing else is."""

from __future__ import annotations

from dataclasses import fields
from itertools import pairwise

import pytest
import torch
from benchmarks.ablation import EVERYTHING, REFERENCE, STEPS, at
from benchmarks.contestants import pieces_loop
from torch import nn

from kilonet.models.blocks import ConvBlock
from kilonet.models.build import build
from kilonet.models.dropout import Dropout
from kilonet.recipe.load import resolve


def network(dropout: str) -> nn.Module:
    return pieces_loop.with_dropout(build(resolve("gap-14k").recipe.model), dropout)


@pytest.mark.parametrize("kind", ["kilonet", "torch", "none"])
def test_every_dropout_is_replaced(kind: str) -> None:
    kinds = [type(module) for module in network(kind).modules()]
    expected = {"kilonet": Dropout, "torch": nn.Dropout, "none": nn.Identity}[kind]
    assert kinds.count(expected) == 6
    assert sum(issubclass(found, nn.Dropout) for found in kinds) == (0 if kind == "none" else 6)


def test_the_rate_is_kept() -> None:
    assert {m.p for m in network("torch").modules() if isinstance(m, nn.Dropout)} == {0.05}


def test_a_network_taken_apart_is_the_same_function() -> None:
    model = network("kilonet").eval()
    images = torch.randn(3, 1, 28, 28)
    with torch.no_grad():
        whole = model(images)
        apart = pieces_loop.taken_apart(model)
        torch.testing.assert_close(apart(images), whole)
    assert not any(isinstance(module, ConvBlock) for module in apart.modules())
    assert sum(isinstance(module, Dropout) for module in apart.modules()) == 6


def test_each_set_of_pieces_is_one_that_the_loop_takes() -> None:
    pieces = {field.name for field in fields(pieces_loop.Pieces)}
    for contestant in at(2).values():
        assert set(contestant.options) == pieces | {"threads"}


def test_one_piece_at_a_time() -> None:
    """Each rung adds one piece to the one before; each "everything …" changes one."""

    def differences(first: str, second: str) -> int:
        return sum(STEPS[first][key] != STEPS[second][key] for key in EVERYTHING)

    rungs = ["nothing", *(name for name in STEPS if name.startswith("+")), REFERENCE]
    assert [differences(a, b) for a, b in pairwise(rungs)] == [1] * 5
    others = [name for name in STEPS if name.startswith("everything ") or "," in name]
    assert len(others) + len(rungs) == len(STEPS)
    assert [differences(name, REFERENCE) for name in others] == [1] * len(others)


def test_names_tell_the_threads_apart() -> None:
    names = [contestant.name for threads in (1, 2) for contestant in at(threads).values()]
    assert len(set(names)) == 2 * len(STEPS)
    assert names[0] == "nothing, 1 thread"


@pytest.mark.mnist
def test_a_step_is_taken(mnist_dir: object) -> None:
    class EnoughError(Exception):
        pass

    counted: list[int] = []

    def after_step(images: int) -> None:
        counted.append(images)
        if len(counted) == 2:
            raise EnoughError

    threads = torch.get_num_threads()
    switches = {**EVERYTHING, "bfloat16": True, "keep_memory": False, "threads": 1}
    try:
        with pytest.raises(EnoughError):
            pieces_loop.train(after_step, str(mnist_dir), 1, 32, **switches)
    finally:
        torch.set_num_threads(threads)
    assert counted == [32, 32]
