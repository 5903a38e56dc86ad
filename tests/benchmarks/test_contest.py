"""Contestants as processes: they answer, sleep in between, and fail with one message."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from benchmarks.contest import (
    BenchmarkError,
    Block,
    Contestant,
    ContestantProcess,
    alternate,
    started,
)

SAYS_READY = """
import json, sys
print(json.dumps({"ready": True}), flush=True)
for line in sys.stdin:
    steps = int(line.split()[1])
    if steps == 13:
        sys.exit("unlucky")
    print(json.dumps({"seconds": steps / 10, "images": steps * 4}), flush=True)
"""
SOMEONE = Contestant("someone", "none")


def command(code: str) -> list[str]:
    return [sys.executable, "-c", code]


@pytest.fixture
def player() -> Iterator[ContestantProcess]:
    made = ContestantProcess(SOMEONE, command(SAYS_READY))
    yield made
    made.stop()


def comes_to_rest(player: ContestantProcess) -> bool:
    """Say whether the process is soon in the state that Linux calls T: stopped."""
    stat = Path(f"/proc/{player._process.pid}/stat")
    for _ in range(100):
        if stat.read_text().rpartition(") ")[2][0] == "T":
            return True
        time.sleep(0.02)
    return False


def test_a_block_is_what_the_contestant_answers(player: ContestantProcess) -> None:
    assert player.warm_up() == {"ready": True}
    assert player.run(5) == Block(0.5, 20)
    assert player.run(2).images_per_second == 40


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_it_sleeps_while_others_run(player: ContestantProcess) -> None:
    player.warm_up()
    assert comes_to_rest(player)
    player.run(1)
    assert comes_to_rest(player)


def test_one_that_dies_is_named_with_its_last_words(player: ContestantProcess) -> None:
    player.warm_up()
    with pytest.raises(BenchmarkError, match=r"^someone ended early: unlucky\. Run it by itself"):
        player.run(13)


def test_one_that_cannot_start_is_named(player: ContestantProcess) -> None:
    other = ContestantProcess(Contestant("other", "none"), command("import no_such_package"))
    with pytest.raises(BenchmarkError, match=r"other ended early: .*no_such_package"):
        other.warm_up()
    other.stop()


def test_all_are_ended_when_one_fails() -> None:
    people = [SOMEONE, Contestant("other", "none")]
    commands = {"someone": command(SAYS_READY), "other": command("raise SystemExit('no')")}
    seen: list[ContestantProcess] = []
    stop = ContestantProcess.stop

    def watched(player: ContestantProcess) -> None:
        stop(player)
        seen.append(player)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ContestantProcess, "stop", watched)
        with pytest.raises(BenchmarkError), started(people, commands):
            pass
    assert {player.contestant.name for player in seen} == {"someone", "other"}
    assert all(player._process.poll() is not None for player in seen)


class Fake(ContestantProcess):
    """Notes its turns in a list that it shares with the others."""

    def __init__(self, name: str, turns: list[tuple[str, int]]) -> None:
        self.contestant = Contestant(name, "none")
        self.turns = turns

    def run(self, steps: int) -> Block:
        """Note the turn."""
        self.turns.append((self.contestant.name, steps))
        return Block(1.0, steps)


def played(names: Sequence[str], rounds: int) -> tuple[list[tuple[str, int]], dict[str, int]]:
    turns: list[tuple[str, int]] = []
    blocks = alternate([Fake(name, turns) for name in names], rounds, steps=20, lead_in=2)
    return turns, {name: len(found) for name, found in blocks.items()}


def test_everyone_has_a_turn_in_every_round_after_a_lead_in() -> None:
    turns, counts = played("abc", rounds=4)
    assert counts == {"a": 4, "b": 4, "c": 4}
    assert [steps for _, steps in turns] == [2, 20] * 12
    timed = [name for name, steps in turns if steps == 20]
    for start in range(0, 12, 3):
        assert Counter(timed[start : start + 3]) == Counter("abc")


def test_the_order_changes_from_round_to_round_but_not_from_run_to_run() -> None:
    turns, _ = played("abcd", rounds=6)
    timed = "".join(name for name, steps in turns if steps == 20)
    assert len({timed[start : start + 4] for start in range(0, 24, 4)}) > 2
    assert turns == played("abcd", rounds=6)[0]
