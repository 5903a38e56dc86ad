"""Muon against PyTorch's own on matrices, against AdamW on the rest, and what counts as which."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn, optim
from trials import recipe

from kilonet.models.build import build
from kilonet.models.conv_stack import ConvStack
from kilonet.recipe.load import resolve
from kilonet.training.optimizers import Muon, build_optimizer, hidden_and_others, orthogonal


def settings() -> dict[str, float]:
    return {"lr": 0.02, "momentum": 0.9, "adam_lr": 0.01, "weight_decay": 0.1}


def parameters(*shapes: tuple[int, ...]) -> list[nn.Parameter]:
    torch.manual_seed(0)
    return [nn.Parameter(torch.randn(shape)) for shape in shapes]


def give_gradients(seed: int, *lists: list[nn.Parameter]) -> None:
    for params in lists:
        torch.manual_seed(seed)
        for parameter in params:
            parameter.grad = torch.randn(parameter.shape)


@pytest.mark.parametrize("shape", [(12, 20), (20, 12), (16, 16)])
def test_matrices_move_as_pytorchs_muon_moves_them(shape: tuple[int, int]) -> None:
    ours, theirs = parameters(shape), parameters(shape)
    mine = Muon(ours, [], **settings())
    oracle = optim.Muon(theirs, lr=0.02, momentum=0.9, weight_decay=0.1, nesterov=True)
    for step in range(5):
        give_gradients(step, ours, theirs)
        mine.step()
        oracle.step()
    moved = (theirs[0] - parameters(shape)[0]).norm()
    # PyTorch iterates in bfloat16, whose rounding the tolerance allows for.
    assert (ours[0] - theirs[0]).norm() < 0.02 * moved


def test_filters_are_matrices_of_a_row_each() -> None:
    filters = parameters((8, 6, 3, 3))
    flat = [nn.Parameter(filters[0].detach().flatten(1).clone())]
    channels_last = [
        nn.Parameter(filters[0].detach().clone().to(memory_format=torch.channels_last))
    ]
    for params in (filters, flat, channels_last):
        optimizer = Muon(params, [], **settings())
        for step in range(3):
            torch.manual_seed(step)
            params[0].grad = torch.randn(8, 6, 3, 3).view(params[0].shape)
            optimizer.step()
    assert torch.allclose(filters[0].flatten(1), flat[0], atol=1e-6)
    assert torch.allclose(filters[0], channels_last[0], atol=1e-6)


def test_the_rest_moves_as_adamw_moves_it() -> None:
    ours, theirs = parameters((7,), (3, 4)), parameters((7,), (3, 4))
    mine = Muon([], ours, **settings())
    oracle = optim.AdamW(theirs, lr=0.01, betas=(0.9, 0.99), weight_decay=0.1, fused=True)
    for step in range(5):
        give_gradients(step, ours, theirs)
        mine.step()
        oracle.step()
    assert all(torch.equal(our, their) for our, their in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("shape", [(5, 9), (9, 5), (6, 6)])
def test_orthogonal_keeps_the_directions_and_evens_their_strengths(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    inside = left.T @ orthogonal(matrix[None])[0] @ right.T
    strengths = inside.diagonal()
    assert torch.allclose(inside, torch.diag(strengths), atol=1e-3)
    assert strengths.min() > 0.6
    assert strengths.max() < 1.3


def test_hidden_is_what_lies_between_first_and_last_layer() -> None:
    network = ConvStack("c4 p6 c8", "gap", bias=True)
    hidden, others = hidden_and_others(network)
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    assert [names[id(weight)] for weight in hidden] == [
        "features.point1.conv.weight",
        "features.conv2.conv.weight",
    ]
    assert len(hidden) + len(others) == len(names)


def test_depthwise_filters_and_frozen_weights_are_not_hidden() -> None:
    network = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3, groups=4), nn.Conv2d(4, 4, 1), nn.Linear(4, 2)
    )
    network[2].requires_grad_(False)
    hidden, others = hidden_and_others(network)
    assert hidden == []
    assert len(others) == 6


def test_a_network_without_hidden_weights_is_trained_by_adam_alone() -> None:
    network = nn.Linear(3, 2)
    optimizer = build_optimizer(network, recipe("optimizer.name=muon").optimizer)
    before: Tensor = network.weight.detach().clone()
    network(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    assert not torch.equal(network.weight, before)


def test_the_recipe_reaches_it() -> None:
    overrides = ["optimizer.name=muon", "optimizer.lr=0.5", "optimizer.adam_lr=0.25"]
    chosen = resolve("gap-14k", [*overrides, "optimizer.momentum=0.75"]).recipe
    optimizer = build_optimizer(build(chosen.model), chosen.optimizer)
    rates = [(group["lr"], group["momentum"]) for group in optimizer.param_groups]
    assert rates == [(0.5, 0.75), (0.25, 0.0)]
