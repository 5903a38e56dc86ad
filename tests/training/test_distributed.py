"""Several processes on one network: equal shares, summed gradients, one and the same result."""

from __future__ import annotations

import os
import socket
from multiprocessing.connection import Connection
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from processes import FORKED, stay_on_this_machine, together
from torch import Tensor
from trials import CPU, figures, fit, same, trained

from kilonet.errors import TrainingError, WorkerLostError
from kilonet.progress import Reporter, Row
from kilonet.training import distributed
from kilonet.training.data import evaluate_split
from kilonet.training.distributed import (
    ProcessGroup,
    destroy_process_group,
    init_process_group,
    launched_group,
    local_rank,
)
from kilonet.training.fit import Outcome

PLAIN = ("model.batch_norm=false", "model.dropout=0.0", "optimizer.momentum=0.9")
FULL = (
    "training.ema=0.8",
    "augmentation.rotation=10.0",
    "augmentation.handwriting=0.2",
    "optimizer.momentum=0.9",
)


@given(length=st.integers(1, 200), size=st.integers(1, 9))
def test_shares(length: int, size: int) -> None:
    batch = torch.arange(length)
    shares = [ProcessGroup(rank, size).share(batch) for rank in range(size)]
    copies = ProcessGroup(0, size).copies(batch)
    assert sum(weight for _, weight in shares) == pytest.approx(1)
    counted = sorted(torch.cat([mine for mine, _ in shares]).tolist())
    assert counted == sorted(batch.tolist() * copies)
    sizes = {len(mine) for mine, _ in shares}
    assert max(sizes) - min(sizes) <= 1
    assert min(sizes) >= min(2, length)
    assert copies in (1, size)


def test_a_single_process_changes_nothing() -> None:
    alone, tensor = ProcessGroup(), torch.tensor([2.0, 3.0])
    alone.all_reduce([tensor])
    alone.average([tensor])
    assert tensor.tolist() == [2.0, 3.0]
    assert alone.broadcast("value") == "value"
    assert alone.is_leader
    assert not ProcessGroup(1, 2).is_leader


def exchange(group: ProcessGroup) -> dict[str, Any]:
    """Send everything there is to send, of each shape and kind."""
    mine = float(group.rank + 1)
    picture = torch.full((2, 3, 4, 5), mine).to(memory_format=torch.channels_last)
    picture[0, 1, 2, 3] = 10 * mine
    double, whole = torch.full((), mine, dtype=torch.float64), torch.tensor([group.rank])
    group.all_reduce([picture, double])
    group.all_reduce([])
    scale = torch.full((3,), mine)
    group.average(iter([scale, whole]))
    group.average([whole])
    return {
        "picture": picture,
        "double": double,
        "whole": whole,
        "scale": scale,
        "broadcast": group.broadcast({"from": group.rank, "tensor": torch.ones(2) * mine}),
    }


def test_what_is_exchanged() -> None:
    found = together(exchange, size=3)
    for rank, got in enumerate(found):
        assert got["picture"].is_contiguous(memory_format=torch.channels_last)
        assert got["picture"].sum() == 6 * 119 + 60
        assert got["picture"][0, 1, 2, 3] == 60
        assert got["double"] == 6
        assert got["whole"] == rank  # counts are left alone
        assert got["scale"].tolist() == [2.0, 2.0, 2.0]
        assert got["broadcast"]["from"] == 0
        assert got["broadcast"]["tensor"].tolist() == [1.0, 1.0]


def run(group: ProcessGroup, *overrides: str) -> tuple[Outcome, dict[str, Tensor]]:
    """Train the small recipe; return its outcome and the whole of its last state's network."""
    running = fit(*overrides, group=group)
    outcome = running.run(lambda _: None, Reporter())
    return outcome, running.model.state_dict()


# The last batch: 22 images; 3, too few to share, which each process sees whole; all of them.
@pytest.mark.parametrize("batch_size", [32, 49, 500])
@pytest.mark.parametrize("size", [2, 3])
def test_as_one_process_but_for_rounding(batch_size: int, size: int) -> None:
    words = (*PLAIN, f"training.batch_size={batch_size}", "training.label_smoothing=0.1")
    alone = trained(*words)
    for outcome, _ in together(run, *words, size=size):
        for row, expected in zip(figures(outcome.history), figures(alone.history), strict=True):
            assert row == pytest.approx(expected, rel=2e-5)
        for name, weights in outcome.last.items():
            torch.testing.assert_close(weights, alone.last[name], rtol=1e-4, atol=2e-6)


@pytest.fixture(scope="module")
def pairs() -> list[list[tuple[Outcome, dict[str, Tensor]]]]:
    """Batch norm, dropout, augmentation and an average, trained twice by two processes."""
    return [together(run, *FULL), together(run, *FULL)]


def test_processes_stay_equal_to_the_bit(pairs: Any) -> None:
    (leading, first), (helping, second) = pairs[0]
    assert same(leading.last, helping.last)
    assert same(leading.best, helping.best)
    assert same(first, second)
    assert figures(leading.history) == figures(helping.history)
    assert leading.stopped_because == helping.stopped_because


def test_the_same_seed_gives_the_same_bits_again(pairs: Any) -> None:
    (first, _), (second, _) = pairs[0][0], pairs[1][0]
    assert same(first.last, second.last)
    assert figures(first.history) == figures(second.history)


def test_each_draws_its_own_dropout_and_augmentation(pairs: Any) -> None:
    """Not the bits of one process, but as good: the loss falls alike."""
    together_, alone = pairs[0][0][0], trained(*FULL)
    assert not same(together_.last, alone.last)
    ours, theirs = together_.history[-1], alone.history[-1]
    assert ours["train_loss"] == pytest.approx(theirs["train_loss"], rel=0.1)


def test_combined_figures_are_those_of_the_whole(pairs: Any) -> None:
    outcome = pairs[0][0][0]
    judged = fit(*FULL)
    judged.model.load_state_dict(outcome.last)
    data, row = judged.data, outcome.history[-1]
    loss, accuracy = evaluate_split(judged.model, data.validation, data, CPU)
    assert row["validation_accuracy"] == accuracy
    assert row["validation_loss"] == pytest.approx(loss, rel=1e-6)


def first_statistics(group: ProcessGroup) -> tuple[Tensor, list[Row]]:
    """Return batch norm's first running mean after one epoch of one batch, and the history."""
    running = fit("training.epochs=1", "training.batch_size=500", group=group)
    outcome = running.run(lambda _: None, Reporter())
    return outcome.last["features.conv1.norm.running_mean"], outcome.history


def test_running_statistics_are_averaged() -> None:
    """The mean of two halves' means is the mean of the whole, and 150 images are two halves."""
    (ours, _), (theirs, _) = together(first_statistics)
    alone, _ = first_statistics(ProcessGroup())
    assert torch.equal(ours, theirs)
    torch.testing.assert_close(ours, alone, rtol=1e-4, atol=1e-6)


VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")


@pytest.fixture
def not_launched(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, ProcessGroup()),
        ({"RANK": "0"}, ProcessGroup()),
        ({"RANK": "1", "WORLD_SIZE": "two"}, ProcessGroup()),
        ({"RANK": "0", "WORLD_SIZE": "1"}, ProcessGroup()),
        ({"RANK": "0", "WORLD_SIZE": "2"}, ProcessGroup(0, 2)),
        ({"RANK": "3", "WORLD_SIZE": "4"}, ProcessGroup(3, 4)),
    ],
)
@pytest.mark.usefixtures("not_launched")
def test_launched_group(
    variables: dict[str, str], expected: ProcessGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert launched_group() == expected


@pytest.mark.usefixtures("not_launched")
def test_local_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    assert local_rank() == 0
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert local_rank() == 3


def take_part(rank: int, port: int, results: Connection) -> None:
    """Be one of two processes as torchrun starts them."""
    stay_on_this_machine()
    numbers = {"RANK": str(rank), "WORLD_SIZE": "2"}
    os.environ.update({**numbers, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)})
    torch.set_num_threads(1)
    group = launched_group()
    init_process_group(group)
    task = group.broadcast({"task": 1} if group.is_leader else None)
    number = torch.tensor([float(group.rank + 1)])
    group.all_reduce([number])
    results.send((group.rank, task, number.item()))
    destroy_process_group(group)


def test_processes_connect_as_torchrun_says() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ours, theirs = FORKED.Pipe()
    processes = [FORKED.Process(target=take_part, args=(rank, port, theirs)) for rank in (0, 1)]
    for process in processes:
        process.start()
    results = []
    for _ in processes:
        assert ours.poll(60)
        results.append(ours.recv())
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert sorted(results) == [(0, {"task": 1}, 3.0), (1, {"task": 1}, 3.0)]


def connect_at(port: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if port is not None:
        monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
        monkeypatch.setenv("MASTER_PORT", str(port))
    monkeypatch.setattr(distributed, "SECONDS_TO_ANSWER", 5)
    init_process_group(ProcessGroup(0, 2))


@pytest.mark.usefixtures("not_launched")
def test_a_port_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(TrainingError) as caught:
            connect_at(port, monkeypatch)
    message = str(caught.value)
    assert message.startswith("The 2 processes could not connect: ")
    assert str(port) in message
    assert "\n" not in message


@pytest.mark.usefixtures("not_launched")
def test_no_address_to_connect_to(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TrainingError, match="MASTER_ADDR expected, but not set"):
        connect_at(None, monkeypatch)


def lose_one(group: ProcessGroup) -> str:
    """End process 1 without a word; return the error that process 0 gets."""
    if group.rank == 1:
        return ""
    try:
        while True:
            group.all_reduce([torch.ones(1)])
    except WorkerLostError as error:
        return str(error)


def test_a_process_that_ends_is_noticed() -> None:
    assert together(lose_one)[0] == "Another training process no longer answers."
