"""Optimizers have the settings of the recipe, and go on from a file as if nothing had been."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter
from torch import nn, optim

from kilonet.errors import RecipeError
from kilonet.recipe import schema
from kilonet.training.optimizers import build_optimizer, restore_optimizer
from kilonet.training.state import load_state, save_state

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
