"""A trial of a few steps: it tells the time, and nothing that comes after can tell it was made."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from trials import CPU, figures, fit, material, recipe, same, trained

from kilonet.errors import TrainingError
from kilonet.progress import Silent
from kilonet.training import trial
from kilonet.training.fit import Fit
from kilonet.training.trial import go_on_after_trial, seconds_a_step

CASES = {
    "sgd ema": ("optimizer.momentum=0.9", "training.ema=0.8"),
    "adam plateau": ("optimizer.name=adam", "schedule.name=plateau", "training.threads=1"),
    "adamw cosine": ("optimizer.name=adamw", "schedule.name=cosine"),
    "muon": ("optimizer.name=muon", "augmentation.rotation=5.0"),
}


@pytest.mark.parametrize("case", CASES)
def test_leaves_no_trace(case: str) -> None:
    tried = fit(*CASES[case])
    assert seconds_a_step(tried) > 0
    assert not any(tried.phases.seconds.values())
    outcome, expected = tried.run(lambda _: None, Silent()), trained(*CASES[case])
    assert same(outcome.last, expected.last)
    assert same(outcome.best, expected.best)
    assert figures(outcome.history) == figures(expected.history)


def test_takes_the_steps_of_training(monkeypatch: pytest.MonkeyPatch) -> None:
    tried, sizes = fit("training.epochs=9"), []
    step = Fit.train_batch

    def seen(self: Fit, batch: Tensor, changes: torch.Generator) -> Any:
        sizes.append((len(batch), self.model.training))
        return step(self, batch, changes)

    monkeypatch.setattr(Fit, "train_batch", seen)
    seconds_a_step(tried)
    assert sizes == [(32, True)] * (trial.WARM_UP + trial.STEPS)


def test_takes_no_more_steps_than_the_training_has() -> None:
    short = fit("schedule.name=one-cycle", "training.epochs=2", "training.batch_size=100")
    assert seconds_a_step(short) > 0
    assert len(short.run(lambda _: None, Silent()).history) == 2


def test_only_what_is_faster_is_gone_on_with() -> None:
    assert go_on_after_trial(fit(), float("inf"))
    assert not go_on_after_trial(fit(), 0.0)


class Broken(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        raise ValueError("no such thing")


def test_a_network_that_fails_is_named_as_in_training() -> None:
    chosen = recipe()
    with pytest.raises(TrainingError, match=r"A step of epoch 1 failed: ValueError: no such thing"):
        seconds_a_step(Fit(Broken(1, 1), material(chosen), chosen, CPU))
