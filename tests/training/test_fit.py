"""What a fit keeps, when it stops, that it can be interrupted, and how it fails."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from trials import CPU, digits, figures, fit, recipe, same, trained, training_data

from kilonet.errors import CheckpointError, RecipeError, TrainingError
from kilonet.models.build import build
from kilonet.progress import Reporter
from kilonet.recipe.load import resolve
from kilonet.training.checkpoints import State, Weights, load_state, save_state, weights_of
from kilonet.training.data import evaluate_split, split_dataset
from kilonet.training.fit import Fit

STILL = ("model.batch_norm=false", "optimizer.lr=1e-30")  # its accuracy never changes
RESUMED = {
    "sgd one-cycle ema": ("optimizer.momentum=0.9", "training.ema=0.9"),
    "adam plateau": ("optimizer.name=adam", "schedule.name=plateau", "schedule.patience=0"),
    "adamw cosine ema": ("optimizer.name=adamw", "schedule.name=cosine", "training.ema=0.8"),
    "muon cosine": ("optimizer.name=muon", "schedule.name=cosine"),
    "rmsprop step": (
        "optimizer.name=rmsprop",
        "optimizer.momentum=0.9",
        "schedule.name=step",
        "schedule.step_size=1",
        "augmentation.rotation=10.0",
    ),
}


class StoppedError(Exception):
    """The process would have ended here."""


def interrupted(make: Callable[[], Fit], file: Path, times: int) -> Fit:
    """Return a fit that has gone through ``times`` ends of the process, one after each epoch."""

    def save_and_stop(state: State) -> None:
        save_state(file, state)
        raise StoppedError

    for time in range(times):
        running = make()
        if time:
            running.restore(load_state(file))
        with pytest.raises(StoppedError):
            running.run(save_and_stop, Reporter())
    resumed = make()
    resumed.restore(load_state(file))
    return resumed


@pytest.mark.parametrize("case", RESUMED)
def test_interrupted_after_every_epoch_ends_in_the_same_bits(case: str, tmp_path: Path) -> None:
    whole = trained(*RESUMED[case])
    resumed = interrupted(lambda: fit(*RESUMED[case]), tmp_path / "state", times=2)
    outcome = resumed.run(lambda _: None, Reporter())
    assert same(outcome.last, whole.last)
    assert same(outcome.best, whole.best)
    assert figures(outcome.history) == figures(whole.history)
    assert outcome.best_epoch == whole.best_epoch
    assert outcome.stopped_because == whole.stopped_because


def test_interrupted_after_its_end_only_reports(tmp_path: Path) -> None:
    whole = trained()
    finished = fit()
    finished.run(lambda state: save_state(tmp_path / "state", state), Reporter())
    again = fit()
    again.restore(load_state(tmp_path / "state"))
    outcome = again.run(lambda _: pytest.fail("there was nothing left to do"), Reporter())
    assert same(outcome.last, whole.last)
    assert outcome.history[-1]["epoch"] == 3


def test_same_seed_same_bits_and_another_seed_others() -> None:
    first, second, other = trained(), trained(), trained("training.seed=1")
    assert same(first.last, second.last)
    assert figures(first.history) == figures(second.history)
    assert not same(first.last, other.last)


def test_bits_do_not_depend_on_the_draws_before() -> None:
    expected = trained()
    running = fit()
    torch.manual_seed(12345)
    torch.rand(100)
    assert same(running.run(lambda _: None, Reporter()).last, expected.last)


def test_recording_the_test_accuracy_decides_nothing() -> None:
    blind = trained("training.ema=0.9")
    seen = trained("training.ema=0.9", "training.record_test_by_epoch=true")
    assert same(blind.last, seen.last)
    assert same(blind.best, seen.best)
    assert all("test_accuracy" in row for row in seen.history)
    rest = [{k: v for k, v in row.items() if k != "test_accuracy"} for row in seen.history]
    assert figures(rest) == figures(blind.history)


def test_history_row() -> None:
    row = trained("training.epochs=1", "training.record_test_by_epoch=true").history[0]
    assert list(row) == [
        "epoch",
        "learning_rate",
        "train_loss",
        "train_accuracy",
        "images_per_second",
        "validation_loss",
        "validation_accuracy",
        "test_accuracy",
        "seconds",
    ]
    assert row["epoch"] == 1
    assert 0 <= row["train_accuracy"] <= 1
    assert row["images_per_second"] > 0


def test_evaluates_the_averaged_weights() -> None:
    running = fit("training.ema=0.9")
    outcome = running.run(lambda _: None, Reporter())
    assert running.ema is not None
    assert same(outcome.last, weights_of(running.ema.module))
    assert not same(outcome.last, weights_of(running.model))
    data, row = running.data, outcome.history[-1]
    found = (row["validation_loss"], row["validation_accuracy"])
    assert found == evaluate_split(running.ema.module, data.validation, data, CPU)
    assert found != evaluate_split(running.model, data.validation, data, CPU)


def test_best_is_the_first_of_the_highest_validation_accuracies() -> None:
    running = fit("training.epochs=5", "training.seed=2")
    seen: list[Weights] = []
    outcome = running.run(lambda _: seen.append(weights_of(running.model)), Reporter())
    accuracies = [row["validation_accuracy"] for row in outcome.history]
    best = accuracies.index(max(accuracies))
    assert outcome.best_epoch == best + 1
    assert same(outcome.best, seen[best])
    assert same(outcome.last, seen[-1])


def test_ties_keep_the_earlier_weights() -> None:
    outcome = trained(*STILL)
    assert len({row["validation_accuracy"] for row in outcome.history}) == 1
    assert outcome.best_epoch == 1


def test_stops_at_an_accuracy() -> None:
    outcome = trained("training.epochs=9", "training.stop_at_accuracy=0.0")
    assert len(outcome.history) == 1
    assert outcome.stopped_because.startswith("validation accuracy reached ")
    assert outcome.stopped_because.endswith("(target: 0.00%)")


def test_stops_at_the_first_epoch_that_reaches_the_accuracy() -> None:
    curve = [row["validation_accuracy"] for row in trained("training.epochs=5").history]
    wanted = sorted(set(curve))[1]
    outcome = trained("training.epochs=5", f"training.stop_at_accuracy={wanted}")
    first = next(i for i, accuracy in enumerate(curve, 1) if accuracy >= wanted)
    # One-cycle goes by the epochs asked for, not by those that are run.
    assert len(outcome.history) == first
    assert [row["validation_accuracy"] for row in outcome.history] == curve[:first]


def test_stops_when_patience_ends() -> None:
    outcome = trained(*STILL, "training.epochs=9", "training.patience=2")
    assert len(outcome.history) == 3
    assert outcome.stopped_because == "no better validation accuracy for 2 epochs"


def test_runs_all_epochs_otherwise() -> None:
    outcome = trained("training.stop_at_accuracy=1.0", "training.patience=3")
    assert outcome.stopped_because == "all 3 epochs done"
    assert [row["epoch"] for row in outcome.history] == [1, 2, 3]


def blind_fit(*overrides: str) -> Fit:
    """Return a fit without validation images."""
    chosen = recipe("data.validation=0", "training.keep=last", *overrides)
    whole = split_dataset(digits(), 0, 0, CPU)
    data = replace(training_data(recipe()), train=whole.train, validation=whole.validation)
    torch.manual_seed(0)
    return Fit(build(chosen.model), data, chosen, CPU)


def test_without_validation_the_latest_weights_are_the_best() -> None:
    outcome = blind_fit("training.epochs=2", "training.batch_size=500").run(
        lambda _: None, Reporter()
    )
    assert len(outcome.history) == 2
    assert not any(key.startswith("validation") for row in outcome.history for key in row)
    assert outcome.best_epoch == 2
    assert same(outcome.best, outcome.last)


def test_label_smoothing_is_the_formula() -> None:
    running = fit("training.label_smoothing=0.2", "model.dropout=0.0", "training.batch_size=1000")
    data = running.data
    images = (data.train.images.float() / 255 - data.mean[0]) / data.std[0]
    with torch.no_grad():
        log_p = F.log_softmax(running.model.train()(images), dim=1).double()
    targets = torch.full_like(log_p, 0.2 / 10)
    targets[torch.arange(len(log_p)), data.train.labels] += 0.8
    expected = -(targets * log_p).sum(dim=1).mean().item()
    row = (
        fit(
            "training.label_smoothing=0.2",
            "model.dropout=0.0",
            "training.batch_size=1000",
            "training.epochs=1",
        )
        .run(lambda _: None, Reporter())
        .history[0]
    )
    assert row["train_loss"] == pytest.approx(expected, rel=1e-5)


def test_divergence_keeps_the_last_good_state() -> None:
    running = fit("training.epochs=5", "schedule.name=none", "optimizer.lr=0.01")
    saved: list[bytes] = []

    def save(state: State) -> None:
        saved.append(state["model"]["features.conv1.conv.weight"].numpy().tobytes())
        if len(saved) == 2:
            running.optimizer.param_groups[0]["lr"] = 1e30

    with pytest.raises(TrainingError, match=r"no longer finite in epoch 3: .*optimizer\.lr"):
        running.run(save, Reporter())
    assert len(saved) == len(running.history) == 2


def test_divergence_in_the_very_last_step_is_noticed_without_validation() -> None:
    running = blind_fit("training.epochs=1", "training.batch_size=2000", "schedule.name=none")
    first = next(running.model.parameters())
    running.optimizer.register_step_post_hook(lambda *_: first.data.fill_(torch.inf))
    with pytest.raises(TrainingError, match="weights are no longer finite in epoch 1"):
        running.run(lambda _: pytest.fail("these weights are not worth saving"), Reporter())


class Own(nn.Module):
    """A network of the user's own that does as it is told."""

    def __init__(self, classes: int = 10, error: Exception | None = None) -> None:
        super().__init__()
        self.linear = nn.Linear(784, classes)
        self.error = error

    def forward(self, x: Tensor) -> Tensor:
        if self.error is not None:
            raise self.error
        return self.linear(x.flatten(1))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Own(classes=3), r"A step of epoch 1 failed: IndexError: Target \d is out of bounds\. "),
        (Own(error=RuntimeError("a\nb")), r"failed: RuntimeError: a\. Does the network"),
        (Own(error=ZeroDivisionError()), r"failed: ZeroDivisionError: "),
        (Own(error=RuntimeError("can't allocate memory")), "ran out of memory"),
        (Own(error=torch.OutOfMemoryError("x")), r"ran out of memory.*training\.batch_size"),
        (Own(error=RecipeError("said well already")), "^said well already$"),
    ],
)
def test_a_network_that_fails_is_named_in_one_message(model: Own, message: str) -> None:
    chosen = recipe()
    running = Fit(model, training_data(chosen), chosen, CPU)
    with pytest.raises((TrainingError, RecipeError), match=message):
        running.run(lambda _: None, Reporter())


def test_a_class_of_the_users_own_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = """
from torch import nn
class Net(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(784, width), nn.ReLU())
        self.head = nn.Linear(width, 10)
    def forward(self, x):
        return self.head(self.layers(x)).log_softmax(1)
"""
    (tmp_path / "kilonet_own_for_fit.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    words = ["model.name=kilonet_own_for_fit:Net", "model.width=20", "optimizer.lr=0.1"]
    chosen = resolve("gap-14k", ["data.name=digits", "training.epochs=4", *words]).recipe
    torch.manual_seed(0)
    running = Fit(build(chosen.model), training_data(chosen, images=600), chosen, CPU)
    outcome = running.run(lambda _: None, Reporter())
    assert outcome.history[-1]["train_accuracy"] > 0.7 > outcome.history[0]["train_accuracy"]


def finished_state() -> State:
    running = fit("training.epochs=1")
    running.run(lambda _: None, Reporter())
    return running.state()


@pytest.mark.parametrize(
    "overrides",
    [
        ("optimizer.name=adam",),
        ("schedule.name=cosine",),
        ("training.epochs=2",),
        ("training.seed=1",),
        ("training.ema=0.9",),
        ('model.layers="c4 M p6 c9 M"',),
    ],
)
def test_refuses_the_state_of_another_recipe(overrides: tuple[str, ...]) -> None:
    state = finished_state()
    with pytest.raises(CheckpointError, match=r"does not fit .* another recipe or seed"):
        fit("training.epochs=1", *overrides).restore(state)


def test_threads_and_device_may_differ() -> None:
    fit("training.epochs=1", "training.threads=2", "training.device=cpu").restore(finished_state())


@pytest.mark.parametrize("key", ["model", "optimizer", "schedule", "history", "best", "recipe"])
def test_refuses_a_state_that_lacks_something(key: str) -> None:
    state = finished_state()
    del state[key]
    with pytest.raises(CheckpointError, match=f"does not fit this recipe.*{key}"):
        fit("training.epochs=1").restore(state)


@pytest.mark.parametrize(
    ("key", "value"),
    [("model", {}), ("model", None), ("optimizer", {}), ("optimizer", 3), ("schedule", [1])],
)
def test_refuses_a_state_of_another_shape(key: str, value: Any) -> None:
    state = {**finished_state(), key: value}
    with pytest.raises(CheckpointError, match=r"does not fit this recipe.*Train again"):
        fit("training.epochs=1").restore(state)


def first(tensors: dict[str, Tensor], change: Callable[[Tensor], Any]) -> None:
    name = next(name for name, value in tensors.items() if value.is_floating_point())
    tensors[name] = change(tensors[name])


CHANGES: dict[str, Callable[[State], Any]] = {
    "another type": lambda state: first(state["model"], Tensor.double),
    "whole numbers": lambda state: first(state["model"], Tensor.int),
    "no tensor": lambda state: first(state["model"], lambda _: 1.0),
    "another shape": lambda state: first(state["model"], lambda value: value[:1]),
    "best: another type": lambda state: first(state["best"], Tensor.half),
    "best: one too many": lambda state: state["best"].update(more=torch.zeros(1)),
    "optimizer: another shape": lambda state: first(
        state["optimizer"]["state"][0], lambda value: value.reshape(-1)[:1]
    ),
    "best epoch too high": lambda state: state.update(best_epoch=2),
    "best epoch: a text": lambda state: state.update(best_epoch="1"),
    "history: a text": lambda state: state["history"][0].update(train_loss="0.1"),
    "history: another epoch": lambda state: state["history"][0].update(epoch=2),
    "history: no table": lambda state: state.update(history=[[1, 2]]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_refuses_a_state_with_wrong_types(change: str) -> None:
    state = copy.deepcopy(finished_state())
    CHANGES[change](state)
    with pytest.raises(CheckpointError, match=r"does not fit this recipe.*Train again"):
        fit("training.epochs=1").restore(state)
