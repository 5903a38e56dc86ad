"""The ablation benchmark changes exactly one optimisation at a time."""

from __future__ import annotations

from dataclasses import fields
from itertools import pairwise

import pytest
import torch
from benchmarks.ablation import EVERYTHING, REFERENCE, VARIANTS, contestants_at
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


def test_unfused_network_computes_the_same() -> None:
    model = network("kilonet").eval()
    images = torch.randn(3, 1, 28, 28)
    with torch.no_grad():
        whole = model(images)
        apart = pieces_loop.unfused(model)
        torch.testing.assert_close(apart(images), whole)
    assert not any(isinstance(module, ConvBlock) for module in apart.modules())
    assert sum(isinstance(module, Dropout) for module in apart.modules()) == 6


def test_options_match_the_parameters_of_the_loop() -> None:
    pieces = {field.name for field in fields(pieces_loop.Pieces)}
    for contestant in contestants_at(2).values():
        assert set(contestant.options) == pieces | {"threads"}


def test_one_optimisation_at_a_time() -> None:
    """Each "+" variant turns on one more optimisation; each "everything …" changes one."""

    def differences(first: str, second: str) -> int:
        return sum(VARIANTS[first][key] != VARIANTS[second][key] for key in EVERYTHING)

    additions = ["nothing", *(name for name in VARIANTS if name.startswith("+")), REFERENCE]
    assert [differences(a, b) for a, b in pairwise(additions)] == [1] * 5
    others = [name for name in VARIANTS if name.startswith("everything ") or "," in name]
    assert len(others) + len(additions) == len(VARIANTS)
    assert [differences(name, REFERENCE) for name in others] == [1] * len(others)


def test_names_contain_the_number_of_threads() -> None:
    names = [
        contestant.name for threads in (1, 2) for contestant in contestants_at(threads).values()
    ]
    assert len(set(names)) == 2 * len(VARIANTS)
    assert names[0] == "nothing, 1 thread"


@pytest.mark.mnist
def test_loop_reports_steps(mnist_dir: object) -> None:
    class StopTrainingError(Exception):
        pass

    counted: list[int] = []

    def after_step(images: int) -> None:
        counted.append(images)
        if len(counted) == 2:
            raise StopTrainingError

    threads = torch.get_num_threads()
    switches = {**EVERYTHING, "bfloat16": True, "keep_memory": False, "threads": 1}
    try:
        with pytest.raises(StopTrainingError):
            pieces_loop.train(after_step, str(mnist_dir), 1, 32, **switches)
    finally:
        torch.set_num_threads(threads)
    assert counted == [32, 32]
