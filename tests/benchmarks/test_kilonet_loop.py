"""Kilonet as a contestant: every step of a real training is counted."""

from __future__ import annotations

from benchmarks.contestants import kilonet_loop, task
from torch.optim.optimizer import _global_optimizer_post_hooks

from kilonet.recipe.load import resolve


def test_the_recipe_is_as_it_is_but_for_what_is_looked_at() -> None:
    changed = resolve("gap-14k", kilonet_loop.overrides(15, 256)).recipe
    given = resolve("gap-14k").recipe
    assert changed.data.validation == 0
    assert changed.training.batch_size == task.BATCH_SIZE
    for section in ("model", "optimizer", "schedule", "augmentation"):
        assert getattr(changed, section) == getattr(given, section)
    others = {"batch_size", "keep", "record_test_by_epoch"}
    assert changed.training.model_dump(exclude=others) == given.training.model_dump(exclude=others)


def test_an_epoch_of_steps_is_all_images() -> None:
    sizes = kilonet_loop.batch_sizes(256)
    assert (len(sizes), sum(sizes), sizes[-1]) == (235, 60_000, 96)
    assert kilonet_loop.batch_sizes(60_000) == [60_000]


def test_every_step_of_a_training_is_counted() -> None:
    counted: list[int] = []
    small = ["data.name=digits", 'model.layers="c2 M"', "training.batch_size=600"]
    before = len(_global_optimizer_post_hooks)
    kilonet_loop.train(counted.append, "", epochs=1, batch_size=256, changes=small)
    # 1,797 digits, of which a fifth is for testing: three batches of at most 600.
    assert counted == [256] * 3
    assert len(_global_optimizer_post_hooks) == before
