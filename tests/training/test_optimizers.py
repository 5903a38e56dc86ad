"""Optimizers by name, and the moving average of the weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter
from torch import Tensor, nn, optim

from kilonet.errors import RecipeError
from kilonet.recipe import schema
from kilonet.training.checkpoints import load_state, save_state
from kilonet.training.optimizers import MovingAverage, build_optimizer, restore_optimizer

SECTIONS: list[tuple[dict[str, Any], type[optim.Optimizer], dict[str, Any]]] = [
    (
        {"name": "adam", "lr": 0.002, "weight_decay": 0.1},
        optim.Adam,
        {"lr": 0.002, "weight_decay": 0.1, "betas": (0.9, 0.999), "eps": 1e-8, "amsgrad": False},
    ),
    (
        {"name": "adamw", "lr": 0.003},
        optim.AdamW,
        {"lr": 0.003, "weight_decay": 0.01, "betas": (0.9, 0.999), "eps": 1e-8},
    ),
    (
        {"name": "sgd", "lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 1e-4},
        optim.SGD,
        {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 1e-4, "dampening": 0},
    ),
    ({"name": "sgd", "lr": 0.1}, optim.SGD, {"momentum": 0.0, "nesterov": False}),
    (
        {"name": "rmsprop", "lr": 0.01, "momentum": 0.5, "weight_decay": 0.2},
        optim.RMSprop,
        {"lr": 0.01, "momentum": 0.5, "weight_decay": 0.2, "alpha": 0.99, "centered": False},
    ),
]


def parsed(section: dict[str, Any]) -> schema.Optimizer:
    adapter: TypeAdapter[schema.Optimizer] = TypeAdapter(schema.Optimizer)
    return adapter.validate_python(section)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4 * 16, 2)
    return nn.Sequential(*layers).to(memory_format=torch.channels_last)


@pytest.mark.parametrize(("section", "kind", "expected"), SECTIONS)
def test_settings(
    section: dict[str, Any], kind: type[optim.Optimizer], expected: dict[str, Any]
) -> None:
    model = network()
    optimizer = build_optimizer(model, parsed(section))
    assert type(optimizer) is kind
    (group,) = optimizer.param_groups
    assert {key: group[key] for key in expected} == expected
    assert [id(p) for p in group["params"]] == [id(p) for p in model.parameters()]


def step(model: nn.Module, optimizer: optim.Optimizer, seed: int) -> None:
    x = torch.randn(5, 3, 6, 6, generator=torch.Generator().manual_seed(seed))
    optimizer.zero_grad()
    model(x.to(memory_format=torch.channels_last)).square().mean().backward()
    optimizer.step()


@pytest.mark.parametrize("section", [section for section, _, _ in SECTIONS])
def test_restored_moments_have_the_layout_and_bits_of_the_undisturbed(
    section: dict[str, Any], tmp_path: Path
) -> None:
    model = network()
    optimizer = build_optimizer(model, parsed(section))
    for seed in range(3):
        step(model, optimizer, seed)
    save_state(tmp_path / "state", {"m": model.state_dict(), "o": optimizer.state_dict()})
    loaded = load_state(tmp_path / "state")
    other = network()
    other.load_state_dict(loaded["m"])
    resumed = build_optimizer(other, parsed(section))
    restore_optimizer(resumed, loaded["o"])
    pairs = list(zip(_moments(optimizer), _moments(resumed), strict=True))
    assert len(pairs) > 0 or section.get("momentum", 0) == 0
    for mine, theirs in pairs:
        assert torch.equal(mine, theirs)
        assert mine.stride() == theirs.stride()
    step(model, optimizer, 9)
    step(other, resumed, 9)
    for first, second in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(first, second)


def _moments(optimizer: optim.Optimizer) -> list[torch.Tensor]:
    states = [optimizer.state[p] for p in optimizer.param_groups[0]["params"]]
    return [v for s in states for v in s.values() if isinstance(v, torch.Tensor)]


def test_nothing_to_train() -> None:
    frozen = nn.Linear(2, 2).requires_grad_(False)
    for model in (frozen, nn.Flatten()):
        with pytest.raises(RecipeError, match=r"has no parameters that training may change"):
            build_optimizer(model, parsed({"name": "adam"}))


def averaged_network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Dropout(0.5))


def floats(model: nn.Module) -> dict[str, Tensor]:
    state = model.state_dict()
    return {name: value.clone() for name, value in state.items() if value.is_floating_point()}


@pytest.mark.parametrize("decay", [0.5, 0.9, 0.998])
def test_average_by_hand(decay: float) -> None:
    model = averaged_network()
    ema = MovingAverage(model, decay)
    expected: dict[str, Tensor] = {}
    for step in range(12):
        model(torch.randn(4, 1, 6, 6) + step)  # moves the running statistics
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter))
        ema.update()
        for name, value in floats(model).items():
            # The first step starts the average: there is no bias towards the initial weights.
            old = expected.get(name, value.double())
            grown = min(decay, (1 + step) / (10 + step))
            expected[name] = grown * old + (1 - grown) * value.double()
    found = floats(ema.module)
    assert {"1.running_mean", "1.running_var"} <= found.keys() == expected.keys()
    for name, value in found.items():
        torch.testing.assert_close(value.double(), expected[name], rtol=1e-5, atol=1e-6)


def test_goes_on_from_its_own_count() -> None:
    """Restored, the decay goes on growing where it was."""
    model = averaged_network()
    first, second = MovingAverage(model, 0.99), MovingAverage(model, 0.99)
    for _ in range(3):
        first.update()
    second.load_state_dict(first.state_dict())
    with torch.no_grad():
        model[0].weight.fill_(1.0)
    for average in (first, second):
        average.update()
    expected = floats(first.module)
    found = floats(second.module)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_average_is_a_copy() -> None:
    model = averaged_network()
    before = floats(model)
    ema = MovingAverage(model, 0.9)
    with torch.no_grad():
        model[0].weight.zero_()
    assert torch.equal(ema.module.state_dict()["0.weight"], before["0.weight"])
