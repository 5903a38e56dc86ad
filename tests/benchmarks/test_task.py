"""The numbers that contestants share are those of the recipe."""

from __future__ import annotations

import pytest
import torch
from benchmarks.contestants import task

from kilonet.data.registry import spec
from kilonet.models.build import build
from kilonet.models.measure import count_parameters
from kilonet.recipe.load import resolve
from kilonet.recipe.schema import OneCycleConfig, SgdConfig


def test_they_are_those_of_the_recipe() -> None:
    recipe = resolve("gap-14k").recipe
    optimizer, schedule = recipe.optimizer, recipe.schedule
    assert isinstance(optimizer, SgdConfig) and isinstance(schedule, OneCycleConfig)
    assert (optimizer.lr, optimizer.momentum) == (task.PEAK_RATE, task.MOMENTUM)
    assert (schedule.warmup, schedule.start) == (task.WARMUP, task.START)
    assert recipe.training.epochs == task.EPOCHS
    assert recipe.model.model_dump()["dropout"] == task.DROPOUT
    assert count_parameters(build(recipe.model)) == task.PARAMETERS


def test_they_are_those_of_the_data() -> None:
    mnist = spec("mnist")
    assert mnist.train_count == task.IMAGES
    assert (mnist.mean[0], mnist.std[0]) == pytest.approx((task.MEAN, task.STD), abs=1e-4)


def test_one_cycle_is_that_of_pytorch() -> None:
    steps = 40
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, task.PEAK_RATE, total_steps=steps, cycle_momentum=False
    )
    for step in range(steps):
        rate = theirs.get_last_lr()[0]
        assert task.one_cycle(step, steps) == pytest.approx(rate, rel=1e-6, abs=1e-6)
        optimizer.step()
        theirs.step()


def test_the_last_batch_counts_as_a_step() -> None:
    assert task.steps_in(1, 256) == 235
    assert task.steps_in(2, 60_000) == 2


def test_another_network_is_refused() -> None:
    task.require_same_size(14_210)
    with pytest.raises(RuntimeError, match="14,211 parameters instead of 14,210"):
        task.require_same_size(14_211)
