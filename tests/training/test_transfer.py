"""Fine-tuning: which weights are taken over, which layers are frozen, and at which rates."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn
from trials import CPU, digits, fit, recipe, training_data

from kilonet.errors import RecipeError, UsageError
from kilonet.models.build import build
from kilonet.progress import Reporter
from kilonet.recipe.load import resolve
from kilonet.training.checkpoints import weights_of
from kilonet.training.device import choose_compute
from kilonet.training.fit import Fit
from kilonet.training.transfer import (
    StartingWeights,
    freeze,
    head_of,
    is_frozen,
    load_matching,
    lower_rates,
    train_mode,
)

LAYERS = [f"{kind}{number}" for kind in ("layer", "residual") for number in (1, 2, 3)]


def network_of(name: str, classes: int = 10) -> nn.Module:
    return build(resolve(name).recipe.model, (1, 28, 28), classes)


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("quick", {"head.classifier.weight", "head.classifier.bias"}),
        ("simple-8k", {"classifier.weight", "classifier.bias"}),
        ("stacked-1x1", {"classifier.weight", "classifier.bias"}),
        ("two-conv-fc64", {"fc2.weight", "fc2.bias"}),
    ],
)
def test_the_head_of_a_recipes_network(name: str, head: set[str]) -> None:
    network = network_of(name)
    assert {part for part in head_of(network) if "num_batches" not in part} == head


def test_the_head_of_a_network_that_ends_in_maps() -> None:
    """The last convolution has a channel for each class, and its batch norm belongs to it."""
    network = network_of("kilonet-2k", 7)
    last = "features.separable3.point"
    names = ("conv.weight", "norm.bias", "norm.running_mean", "norm.running_var")
    head = {f"{last}.{name}" for name in (*names, "norm.num_batches_tracked")}
    assert head_of(network) == head | {"head.temperature.factor"}
    other = weights_of(network_of("kilonet-2k", 10))
    same = set(other) - head
    assert all(weights_of(network)[name].shape == other[name].shape for name in same)


def start_of(network: nn.Module) -> StartingWeights:
    return StartingWeights("before", weights_of(network), digits().info)


def test_all_weights_are_taken_over_for_the_same_classes() -> None:
    before, after = network_of("simple-8k"), network_of("simple-8k")
    loaded = load_matching(after, start_of(before), digits().info)
    assert loaded == set(weights_of(before))
    assert all(torch.equal(v, weights_of(after)[k]) for k, v in weights_of(before).items())


@pytest.mark.parametrize("classes", [tuple("abcdefghij"), ("a", "b")])
def test_the_head_is_new_for_other_classes(classes: tuple[str, ...]) -> None:
    before, after = network_of("simple-8k"), network_of("simple-8k", len(classes))
    head = weights_of(after)["classifier.weight"]
    loaded = load_matching(after, start_of(before), replace(digits().info, classes=classes))
    assert set(weights_of(before)) - loaded == {"classifier.weight", "classifier.bias"}
    assert torch.equal(weights_of(after)["classifier.weight"], head)


def test_weights_of_another_network() -> None:
    with pytest.raises(RecipeError, match=r"before has another network .* kilonet train --from"):
        load_matching(network_of("simple-8k"), start_of(network_of("quick")), digits().info)
    wide = replace(digits().info, shape=(3, 32, 32))
    with pytest.raises(UsageError, match=r"takes images of 1×28×28; those of .* are 3×32×32"):
        load_matching(network_of("quick"), start_of(network_of("quick")), wide)


@pytest.mark.parametrize(
    ("patterns", "free"),
    [
        ("features", {"classifier"}),
        ("layer* widen residual?", {"classifier"}),
        (
            "classifier",
            {*LAYERS, "widen"},
        ),
        ("*.conv.weight classifier.bias widen", None),
    ],
)
def test_frozen_layers(patterns: str, free: set[str] | None) -> None:
    network = network_of("simple-8k")
    freeze(network, patterns)
    changing = {name for name, value in network.named_parameters() if value.requires_grad}
    assert is_frozen(network)
    if free is not None:
        assert {name.partition(".")[0] for name in changing} == free
    else:
        assert not any(name.endswith("conv.weight") for name in changing)
        assert "classifier.weight" in changing


def test_no_layer_of_that_name() -> None:
    with pytest.raises(RecipeError, match=r'called "layr1"\. Did you mean "layer1"\? Layers: '):
        freeze(network_of("simple-8k"), "layr1")


def test_frozen_layers_keep_their_weights_and_statistics() -> None:
    trial = fit("training.epochs=1")
    freeze(trial.model, "features")
    before, head = weights_of(trial.model), head_of(trial.model)
    trial.run(lambda _: None, Reporter())
    after = weights_of(trial.model)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert changed <= head


def test_the_rate_of_old_layers() -> None:
    network = network_of("simple-8k")
    optimizer = torch.optim.SGD(network.parameters(), lr=0.5)
    old = set(weights_of(network)) - head_of(network)
    lower_rates(optimizer, network, old, 0.1)
    new, slow = optimizer.param_groups
    assert (new["lr"], slow["lr"]) == (0.5, pytest.approx(0.05))
    assert len(new["params"]) == 2
    assert len(new["params"]) + len(slow["params"]) == len(list(network.parameters()))


def rates_by_name(trial: Fit) -> dict[str, float]:
    rates = {
        id(value): float(group["lr"])
        for group in trial.optimizer.param_groups
        for value in group["params"]
    }
    return {name: rates[id(value)] for name, value in trial.model.named_parameters()}


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd", "muon", "rmsprop"])
@pytest.mark.parametrize("schedule", ["one-cycle", "cosine", "step"])
def test_every_optimizer_and_schedule_has_the_rate(name: str, schedule: str) -> None:
    words = [f"optimizer.name={name}", f"schedule.name={schedule}", "training.weights_rate=0.5"]
    words += ["schedule.step_size=1"] if schedule == "step" else []
    words += ["training.weights=x"]
    settings, data = recipe(*words), training_data(recipe())
    network = build(settings.model)
    old = set(weights_of(network)) - head_of(network)
    tuned = rates_by_name(Fit(network, data, settings, CPU, loaded=old))
    plain = rates_by_name(Fit(build(settings.model), data, settings, CPU))
    for part, rate in plain.items():
        assert tuned[part] == pytest.approx(rate / 2 if part in old else rate)


def test_training_mode_spares_frozen_layers() -> None:
    network = nn.Sequential(nn.BatchNorm2d(1), nn.Dropout(0.5), nn.BatchNorm2d(1))
    freeze(network, "0")
    train_mode(network)
    assert [module.training for module in network] == [False, True, True]


def test_compiled_kernels_are_not_used_for_frozen_layers() -> None:
    network = network_of("simple-8k")
    freeze(network, "features")
    settings = resolve("simple-8k", ["training.kernels=auto", "training.device=cpu"]).recipe
    compute = choose_compute(settings, network)
    assert compute.recipe.training.kernels == "torch"
    assert "some are frozen" in (compute.note or "")
    with pytest.raises(UsageError, match=r'some are frozen\. Use "auto" or "torch"'):
        choose_compute(settings.with_training(kernels="compiled"), network)
