"""Networks for the tests of exports: those of every recipe and odd ones, each exported once."""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor, nn

from kilonet.exports.graph.lower import lower
from kilonet.exports.graph.operators import Graph
from kilonet.exports.int8.operators import QuantisedGraph
from kilonet.exports.int8.quantise import quantise
from kilonet.exports.onnx import export_onnx
from kilonet.models.blocks import P4Conv2d, Residual, Separable
from kilonet.models.build import build
from kilonet.recipe.catalog import recipe_names
from kilonet.recipe.load import resolve

MEAN, STD = (0.1307,), (0.3081,)
Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Example:
    """A network, its ONNX file and what it was lowered to."""

    model: nn.Module
    path: Path
    graph: Graph

    def logits(self, images: Pixels) -> npt.NDArray[np.float32]:
        """Return PyTorch's logits of uint8 images (N, C, H, W)."""
        with torch.no_grad():
            logits: npt.NDArray[np.float32] = self.model(_normalised(images)).numpy()
        return logits


def shaken(model: nn.Module, negative: bool = False) -> nn.Module:
    """Make an untrained network do something: large weights, odd norms, statistics of pictures.

    With PyTorch's own start the pictures would hardly be told apart by the last layers.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            nn.init.normal_(module.weight, -0.5 if negative else 1.2, 0.4)
            nn.init.normal_(module.bias, 0, 0.3)
            module.momentum = 1.0
    with torch.no_grad():
        model.train()(_normalised(pictures(32, seed=11)))
    return model.eval()


def _normalised(images: Pixels) -> Tensor:
    return (torch.from_numpy(images).float() / 255 - MEAN[0]) / STD[0]


class SqueezeExcite(nn.Module):
    """x · sigmoid(W2 · silu(W1 · mean(x))) (Hu et al. 2017), by 1×1 convolutions or matrices."""

    def __init__(self, channels: int, convolutions: bool) -> None:
        super().__init__()
        self.convolutions = convolutions
        layer = (lambda i, o: nn.Conv2d(i, o, 1)) if convolutions else nn.Linear
        self.reduce, self.expand = layer(channels, 3), layer(3, channels)
        self.act = nn.SiLU()

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean((2, 3), keepdim=self.convolutions)
        gate = torch.sigmoid(self.expand(self.act(self.reduce(mean))))
        return x * (gate if self.convolutions else gate[:, :, None, None])


class Joined(nn.Module):
    """Two branches side by side, as many channels as both have."""

    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.first, self.second = first, second

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.first(x), self.second(x)], 1)


def _excited() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.SiLU(),
        SqueezeExcite(8, convolutions=True),
        Residual(nn.Sequential(Separable((8, 8), nonlinearity="silu"), nn.BatchNorm2d(8))),
        SqueezeExcite(8, convolutions=False),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(8 * 49, 10),
    )


def _before_and_after() -> nn.Module:
    """Batch norm where it cannot join what precedes it: after ReLU, pooling and flattening."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, stride=3),
        nn.ReLU(),
        nn.BatchNorm2d(6),
        nn.Conv2d(6, 6, 3, padding=1, groups=2),
        nn.MaxPool2d(3, stride=2, padding=1),
        nn.BatchNorm2d(6),
        nn.LeakyReLU(0.2),
        nn.BatchNorm2d(6),
        nn.Conv2d(6, 7, 2),
        nn.Flatten(),
        nn.ReLU(),
        nn.BatchNorm1d(63),
        nn.Linear(63, 12),
        nn.BatchNorm1d(12),
        nn.Sigmoid(),
        nn.Linear(12, 10, bias=False),
    )


def _joined() -> nn.Module:
    branch = nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), nn.Conv2d(4, 5, 1), nn.ReLU())
    return nn.Sequential(
        nn.Conv2d(1, 4, (5, 3), stride=(3, 2), padding=(2, 0)),
        nn.BatchNorm2d(4),
        Joined(nn.Sequential(nn.Conv2d(4, 4, 3, padding=1, groups=4), nn.SiLU()), branch),
        nn.MaxPool2d(2, ceil_mode=True),
        nn.Conv2d(9, 10, 3),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )


def _pooled_first() -> nn.Module:
    return nn.Sequential(
        nn.MaxPool2d(2), nn.Conv2d(1, 6, 3), nn.SiLU(), nn.Flatten(), nn.Linear(6 * 144, 10)
    )


def _p4() -> nn.Module:
    """p4 filters of every kind: lifting, regular, depthwise, and 1×1."""
    return nn.Sequential(
        P4Conv2d(1, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(2),
        P4Conv2d(8, 12, 3, regular=True),
        nn.MaxPool2d(2),
        nn.BatchNorm2d(12),
        nn.SiLU(),
        P4Conv2d(12, 12, 5, padding=2, groups=12, bias=False),
        nn.BatchNorm2d(12),
        nn.ReLU(),
        P4Conv2d(12, 16, 1, stride=2, regular=True, bias=False),
        nn.BatchNorm2d(16),
        nn.SiLU(),
        P4Conv2d(16, 16, 3, padding=1, groups=16, bias=False),
        P4Conv2d(16, 12, 1, regular=True, bias=False),
        nn.BatchNorm2d(12),
        nn.LeakyReLU(0.1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(12, 10),
    )


ODD: dict[str, Callable[[], nn.Module]] = {
    "excited": lambda: shaken(_excited()),
    "before-and-after": lambda: shaken(_before_and_after()),
    "negative-scales": lambda: shaken(_before_and_after(), negative=True),
    "joined": lambda: shaken(_joined()),
    "p4": lambda: shaken(_p4()),
    "p4-negative-scales": lambda: shaken(_p4(), negative=True),
    "pooled-first": lambda: shaken(_pooled_first()),
}


def _distinct() -> list[str]:
    """Return the recipes whose networks differ from those before them."""
    found: dict[str, str] = {}
    for name in recipe_names():
        model = resolve(name).recipe.model.model_dump()
        found.setdefault(json.dumps({**model, "dropout": 0}, sort_keys=True), name)
    return list(found.values())


RECIPES = _distinct()
_DIFFERENT = {
    "fast-99.4",
    "gap-14k",
    "gap-iter0",
    "kilonet-2k",
    "plain-valid-adam",
    "simple-8k-plus",
    "stacked-1x1",
    "two-conv-fc12",
}
"""Recipes that have all kinds of layers; the others are the same kinds in other sizes."""
NAMES = [
    pytest.param(name, marks=() if name in ODD or name in _DIFFERENT else pytest.mark.slow)
    for name in [*RECIPES, *ODD]
]
"""All networks, to parametrise a test with."""


@cache
def example(name: str) -> Example:
    """Return the network of a recipe, or an odd one, exported and lowered."""
    torch.manual_seed(5)
    model = ODD[name]() if name in ODD else shaken(build(resolve(name).recipe.model))
    path = _folder() / f"{name}.onnx"
    export_onnx(model, path, (1, 28, 28), MEAN, STD, {"classes": "0,1,2,3,4,5,6,7,8,9"})
    return Example(model, path, lower(path))


@cache
def example_int8(name: str) -> QuantisedGraph:
    """Return an example in integers, calibrated on pictures."""
    return quantise(example(name).graph, pictures(64))


@cache
def _folder() -> Path:
    folder = tempfile.mkdtemp(prefix="kilonet-networks-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def pictures(count: int, shape: tuple[int, ...] = (1, 28, 28), seed: int = 0) -> Pixels:
    """Return blurred blobs on black, (N, *shape): as much black as digits have, and edges."""
    generator = np.random.default_rng(seed)
    coarse = generator.random((count, shape[0], 9, 9)) ** 2
    rows, columns = (np.linspace(0, 8, side).round().astype(int) for side in shape[1:])
    smooth = coarse[:, :, rows][:, :, :, columns] - 0.35
    return (np.clip(smooth * 1.6, 0, 1) * 255).astype(np.uint8)
