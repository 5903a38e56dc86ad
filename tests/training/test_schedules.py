"""Learning rates batch by batch, against closed forms; the plateau rule against a plain one."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from torch import nn, optim

from kilonet.errors import RecipeError
from kilonet.recipe import schema
from kilonet.training.checkpoints import load_state, save_state
from kilonet.training.schedules import Schedule

PEAK = 0.2
ALL = [
    {"name": "none"},
    {"name": "step", "step_size": 2, "gamma": 0.5},
    {"name": "plateau", "patience": 0, "factor": 0.5},
    {"name": "one-cycle", "warmup": 0.4, "start": 10.0, "end": 100.0},
    {"name": "cosine"},
]


def parsed(section: dict[str, Any]) -> schema.Schedule:
    adapter: TypeAdapter[schema.Schedule] = TypeAdapter(schema.Schedule)
    return adapter.validate_python(section)


class Run:
    """A schedule over an optimizer that has nothing to learn."""

    def __init__(self, section: dict[str, Any], epochs: int, steps: int) -> None:
        self.optimizer = optim.SGD(nn.Linear(1, 1).parameters(), lr=PEAK, momentum=0.9)
        self.schedule = Schedule(self.optimizer, parsed(section), epochs, steps)
        self.steps = steps

    @property
    def rate(self) -> float:
        return float(self.optimizer.param_groups[0]["lr"])

    def epoch(self, accuracy: float | None = None) -> list[float]:
        """Return the rates of an epoch's batches."""
        rates = []
        for _ in range(self.steps):
            rates.append(self.rate)
            self.optimizer.step()
            self.schedule.after_batch()
        self.schedule.after_epoch(accuracy)
        return rates

    def epochs(self, count: int) -> list[float]:
        return [rate for _ in range(count) for rate in self.epoch()]


def test_none_keeps_the_rate() -> None:
    assert set(Run({"name": "none"}, 3, 4).epochs(3)) == {PEAK}


@pytest.mark.parametrize(("size", "gamma"), [(1, 0.1), (2, 0.5), (15, 0.1)])
def test_step_by_epoch(size: int, gamma: float) -> None:
    rates = Run({"name": "step", "step_size": size, "gamma": gamma}, 5, 3).epochs(5)
    expected = [PEAK * gamma ** (epoch // size) for epoch in range(5) for _ in range(3)]
    assert rates == pytest.approx(expected, rel=1e-12)


def test_cosine_falls_to_nothing_with_the_last_batch() -> None:
    run = Run({"name": "cosine"}, 4, 7)
    expected = [PEAK * (1 + math.cos(math.pi * batch / 28)) / 2 for batch in range(28)]
    assert run.epochs(4) == pytest.approx(expected, rel=1e-9)
    assert run.rate == pytest.approx(0, abs=1e-15)


@pytest.mark.parametrize("warmup", [0.1, 0.3, 0.5])
def test_one_cycle_rises_to_its_peak_and_falls_to_its_end(warmup: float) -> None:
    batches, first, last = 40, PEAK / 10, PEAK / 10 / 100
    section = {"name": "one-cycle", "warmup": warmup, "start": 10.0, "end": 100.0}
    run = Run(section, 4, 10)
    rates = run.epochs(4)
    top = warmup * (batches + 1) - 1  # the last batch is followed by one more, unused, rate

    def closed(batch: int) -> float:
        if batch <= top:
            return _half_cosine(first, PEAK, batch / top)
        return _half_cosine(PEAK, last, (batch - top) / (batches - top))

    assert rates == pytest.approx([closed(batch) for batch in range(batches)], rel=1e-9)
    assert rates[0] == pytest.approx(first)
    assert abs(rates.index(max(rates)) - top) < 1
    assert max(rates) == pytest.approx(PEAK, rel=0.02)
    assert run.rate == pytest.approx(last)
    assert rates[-1] < PEAK / 100


def _half_cosine(start: float, end: float, fraction: float) -> float:
    return end + (start - end) / 2 * (1 + math.cos(math.pi * fraction))


@pytest.mark.parametrize("kind", ["sgd", "adam"])
def test_one_cycle_leaves_the_momentum_alone(kind: str) -> None:
    parameters = nn.Linear(1, 1).parameters()
    optimizer: optim.Optimizer = (
        optim.SGD(parameters, 0.1, momentum=0.7) if kind == "sgd" else optim.Adam(parameters)
    )
    schedule = Schedule(optimizer, parsed({"name": "one-cycle"}), 2, 5)
    for _ in range(10):
        optimizer.step()
        schedule.after_batch()
        group = optimizer.param_groups[0]
        assert group["momentum" if kind == "sgd" else "betas"] == (
            0.7 if kind == "sgd" else (0.9, 0.999)
        )


def test_one_cycle_with_no_batch_to_rise_in() -> None:
    section = {"name": "one-cycle", "warmup": 0.5}
    with pytest.raises(RecipeError, match=r"\[schedule\] warmup: 0.5 of 1 batches"):
        Run(section, 1, 1)
    assert len(Run(section, 1, 2).epochs(1)) == 2


@settings(max_examples=100, deadline=None)
@given(
    accuracies=st.lists(st.sampled_from([0.5, 0.9, 0.90005, 0.95, 0.97, 0.99]), max_size=12),
    patience=st.integers(0, 3),
)
def test_plateau_follows_the_validation_accuracy(accuracies: list[float], patience: int) -> None:
    """Down by the factor after more than ``patience`` epochs without a relative rise of 0.01 %."""
    run = Run({"name": "plateau", "patience": patience, "factor": 0.5}, 20, 1)
    best, waited, rate = -math.inf, 0, PEAK
    for accuracy in accuracies:
        assert run.epoch(accuracy) == [pytest.approx(rate)]
        waited = 0 if accuracy > best * (1 + 1e-4) or best == -math.inf else waited + 1
        best = accuracy if waited == 0 else best
        if waited > patience:
            rate, waited = rate * 0.5, 0


def test_plateau_waits_where_nothing_was_validated() -> None:
    run = Run({"name": "plateau", "patience": 0}, 5, 2)
    assert set(run.epochs(5)) == {PEAK}


@pytest.mark.parametrize("section", ALL, ids=lambda section: section["name"])
@pytest.mark.parametrize("stop", [0, 1, 3])
def test_goes_on_from_a_file(section: dict[str, Any], stop: int, tmp_path: Path) -> None:
    accuracies = [0.5, 0.6, 0.6, 0.6, 0.7]
    whole = Run(section, 5, 3)
    expected = [whole.epoch(accuracy) for accuracy in accuracies]
    before, after = Run(section, 5, 3), Run(section, 5, 3)
    for accuracy in accuracies[:stop]:
        before.epoch(accuracy)
    state = {"s": before.schedule.state_dict(), "o": before.optimizer.state_dict()}
    save_state(tmp_path / "state", state)
    loaded = load_state(tmp_path / "state")
    after.optimizer.load_state_dict(loaded["o"])
    after.schedule.load_state_dict(loaded["s"])
    assert [after.epoch(accuracy) for accuracy in accuracies[stop:]] == expected[stop:]


def test_rates_vary_as_they_should_at_all() -> None:
    """The comparison above means something: every schedule but "none" moves the rate."""
    for section in ALL:
        run = Run(section, 5, 3)
        rates = [rate for _ in range(5) for rate in run.epoch(0.5)]
        assert (len(set(rates)) > 1) == (section["name"] != "none")
        assert all(torch.isfinite(torch.tensor(pair)).all() for pair in pairwise(rates))
