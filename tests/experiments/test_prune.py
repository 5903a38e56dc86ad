"""Pruning by magnitude, as described in docs/frontier.md."""

from __future__ import annotations

import importlib

import pytest
import torch
from torch import nn

import kilonet
from kilonet.models.measure import count_parameters
from kilonet.workflows.runs import find_run

prune = importlib.import_module("prune")


@pytest.fixture(scope="module")
def network() -> nn.Module:
    return kilonet.load("kilonet-0.5k")


def test_smallest_weights_become_zero(network: nn.Module) -> None:
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    other = prune.pruned(network, 0.2)
    weights = sum(p.numel() for name, p in before.items() if name.endswith("conv.weight"))
    assert prune.zero_count(other) == round(0.2 * weights)
    assert count_parameters(other) == count_parameters(network)
    for name, parameter in other.named_parameters():
        kept = parameter != 0
        assert torch.equal(parameter[kept], before[name][kept])
        if kept.any() and not kept.all():
            assert before[name][kept].abs().min() >= before[name][~kept].abs().max()
    assert all(torch.equal(p, before[name]) for name, p in network.named_parameters())


def test_batch_norm_statistics_are_recomputed_on_the_images() -> None:
    layers = nn.Sequential(nn.BatchNorm2d(1))
    images = torch.randint(0, 256, (700, 1, 28, 28), dtype=torch.uint8)
    info = find_run("kilonet-0.5k").data_info
    prune.update_norms(layers, images, info)
    (norm,) = layers
    assert isinstance(norm, nn.BatchNorm2d)
    # Batches of 500 and 200 images count equally.
    parts = [(part.float() / 255 - info.mean[0]) / info.std[0] for part in images.split(500)]
    torch.testing.assert_close(
        norm.running_mean, torch.stack([p.mean() for p in parts]).mean()[None]
    )
    torch.testing.assert_close(norm.running_var, torch.stack([p.var() for p in parts]).mean()[None])
    assert norm.momentum == pytest.approx(0.1)
    assert not norm.training
