"""What every network offers: a count, a printed summary, and a word about images too small."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import kilonet
from kilonet.errors import RecipeError
from kilonet.models import Network, SimpleMNISTNet
from kilonet.models.build import NETWORKS, build
from kilonet.models.summary import summary_text
from kilonet.recipe.load import resolve

SMALLEST = {"two-conv": 4, "stacked-1x1": 4, "plain-valid": 12, "simple": 4}


def test_the_page_of_simple_mnist_net() -> None:
    model = kilonet.SimpleMNISTNet()
    assert isinstance(model, nn.Module)
    assert model.count_parameters() == sum(p.numel() for p in model.parameters()) < 8000
    assert kilonet.SimpleMNISTNet is SimpleMNISTNet


def test_prints_its_summary(capsys: pytest.CaptureFixture[str]) -> None:
    model = SimpleMNISTNet()
    model.print_model_summary()
    printed = capsys.readouterr().out
    assert printed == summary_text(model, (1, 28, 28), "SimpleMNISTNet") + "\n"
    assert f"{model.count_parameters():,}" in printed


@pytest.mark.parametrize("name", ["quick", "two-conv-fc12", "stacked-1x1", "plain-valid-sgd"])
def test_every_network_offers_the_same(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    model = build(resolve(name).recipe.model, (3, 32, 30), 7)
    assert isinstance(model, Network)
    assert (model.input_shape, model.num_classes) == ((3, 32, 30), 7)
    model.print_model_summary()
    printed = capsys.readouterr().out
    assert "3×32×30" in printed
    assert f"{model.count_parameters():,}" in printed


@pytest.mark.parametrize("name", SMALLEST)
def test_smallest_images(name: str) -> None:
    side = SMALLEST[name]
    model = NETWORKS[name](input_shape=(1, side, side + 1))
    assert model.eval()(torch.zeros(2, 1, side, side + 1)).shape == (2, 10)
    for shape in ((1, side - 1, 28), (1, 28, side - 1)):
        with pytest.raises(RecipeError, match=rf"needs images of at least {side}×{side} pixels"):
            NETWORKS[name](input_shape=shape)
