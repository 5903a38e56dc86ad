"""Finding out who torchrun has started, and meeting them."""

from __future__ import annotations

import os
import socket
from multiprocessing.connection import Connection

import pytest
import torch
from crowd import FORKED

from kilonet.errors import TrainingError
from kilonet.training import torchrun
from kilonet.training.torchrun import Launched, launched, local_rank
from kilonet.training.workers import Workers

VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")


@pytest.fixture(autouse=True)
def _not_launched(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, None),
        ({"RANK": "0"}, None),
        ({"RANK": "1", "WORLD_SIZE": "two"}, None),
        ({"RANK": "0", "WORLD_SIZE": "1"}, None),
        ({"RANK": "0", "WORLD_SIZE": "2"}, Workers(0, 2)),
        ({"RANK": "3", "WORLD_SIZE": "4"}, Workers(3, 4)),
    ],
)
def test_place(
    variables: dict[str, str], expected: Workers | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert launched() == expected


def test_local_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    assert local_rank() == 0
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert local_rank() == 3


def test_threads_are_those_that_torchrun_gave() -> None:
    assert Launched(Workers(0, 4)).threads_each(2) == 2


def take_part(rank: int, port: int, news: Connection) -> None:
    """Be one of two that torchrun might have started."""
    places = {"RANK": str(rank), "WORLD_SIZE": "2"}
    os.environ.update({**places, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)})
    torch.set_num_threads(1)
    place = launched()
    assert place is not None
    with Launched(place) as team, team.watched():
        workers, job = team.joined({"what": "to do"} if place.leads else None)
        number = torch.tensor([float(workers.rank + 1)])
        workers.add_up([number])
        news.send((workers.rank, job, number.item()))


def test_all_hear_of_the_same_job() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ours, theirs = FORKED.Pipe()
    processes = [FORKED.Process(target=take_part, args=(rank, port, theirs)) for rank in (0, 1)]
    for process in processes:
        process.start()
    found = []
    for _ in processes:
        assert ours.poll(60)
        found.append(ours.recv())
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert sorted(found) == [(0, {"what": "to do"}, 3.0), (1, {"what": "to do"}, 3.0)]


def lead_at(port: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if port is not None:
        monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
        monkeypatch.setenv("MASTER_PORT", str(port))
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(torchrun, "SECONDS_TO_ANSWER", 5)
    with Launched(Workers(0, 2)) as team:
        team.join({})


def test_a_port_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(TrainingError) as caught:
            lead_at(port, monkeypatch)
    message = str(caught.value)
    assert message.startswith("The 2 workers could not come together: ")
    assert str(port) in message
    assert "\n" not in message


def test_no_place_to_meet(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TrainingError, match="MASTER_ADDR expected, but not set"):
        lead_at(None, monkeypatch)
