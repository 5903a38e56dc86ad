"""Where the time went: the table, and that its figures are those of the training."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

import kilonet
from kilonet.cli.tables import profile_tables
from kilonet.training import profile
from kilonet.training.profile import PHASES, Profile
from kilonet.workflows import train

TABLE = """
phase    seconds      %
data        1.00    4.0
forward    20.00   80.0
rest        4.00   16.0
all        25.00  100.0

training: 2,000 images/s
arithmetic alone, float32: 6,944 images/s (24 MFLOP an image, 167 GFLOP/s with 2 threads); \
training takes 3.47 times as long
arithmetic alone, bfloat16: 12,500 images/s (24 MFLOP an image, 300 GFLOP/s with 2 threads); \
training takes 6.25 times as long
"""


@pytest.fixture(autouse=True)
def measures_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profile, "SECONDS", 0.0)
    monkeypatch.setattr(profile, "SIZES", {"cpu": 64})


def test_table() -> None:
    measured = Profile(
        seconds={"data": 1.0, "forward": 20.0, "rest": 4.0},
        images_per_second=2000.0,
        flops=24_000_000,
        limits={"float32": 166.66e9, "bfloat16": 300e9},
        hardware="2 threads",
    )
    console = Console(file=io.StringIO(), width=60)
    console.print(profile_tables(measured), soft_wrap=True)
    assert console.file.getvalue() == TABLE


def seconds_of(lines: list[str]) -> dict[str, float]:
    """Return the seconds by phase that the table among ``lines`` gives."""
    start = next(i for i, line in enumerate(lines) if line.startswith("phase "))
    rows = [line.split() for line in lines[start + 1 : start + 9]]
    return {phase: float(seconds) for phase, seconds, _ in rows}


def test_a_training_shows_where_its_time_went(
    own_network: Path, without_report: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(profile, "throughput", lambda device, precision: 2.5e9)
    run = kilonet.train(own_network, epochs=2, profile=True)
    assert run.profile is not None
    console = Console(file=io.StringIO(), width=40)
    console.print(profile_tables(run.profile), soft_wrap=True)
    lines = console.file.getvalue().splitlines()
    seconds = seconds_of(lines)
    assert list(seconds) == [*PHASES, "rest", "all"]
    whole = seconds.pop("all")
    assert sum(seconds.values()) == pytest.approx(whole, abs=0.05)
    assert whole == pytest.approx(sum(row["seconds"] for row in run.history), rel=0.5, abs=0.05)
    (speed,) = re.findall(r"training: ([\d,]+) images/s", "\n".join(lines))
    rates = [row["images_per_second"] for row in run.history]
    assert min(rates) - 1 <= float(speed.replace(",", "")) <= max(rates) + 1
    # A 3×1×5×5 convolution at 6×6 places and a 108×10 product, three times, less its first part.
    flops = 2 * (3 * (75 * 36 + 1080) - 75 * 36)
    expected = f"arithmetic alone, float32: {2.5e9 / flops:,.0f} images/s (0.0173 MFLOP an image, "
    assert expected in "\n".join(lines)
    assert "2 GFLOP/s with 1 thread); training takes " in "\n".join(lines)


def test_what_was_trained_before_does_not_count(
    own_network: Path, without_report: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that was stopped after its last epoch is only finished."""
    monkeypatch.setattr(train, "finish", stop)
    with pytest.raises(KeyboardInterrupt):
        kilonet.train(own_network, out="run")
    monkeypatch.undo()
    monkeypatch.chdir(own_network.parent)
    run = kilonet.resume("run", model="tinynet:Net", profile=True)
    assert run.finished
    assert run.profile is None


def stop(*_: object) -> None:
    raise KeyboardInterrupt
