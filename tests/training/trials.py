"""Small trainings on a slice of the bundled digits, for the tests of this folder."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from kilonet.data.dataset import Dataset, load_dataset
from kilonet.models.build import build
from kilonet.progress import Reporter, Row
from kilonet.recipe.load import resolve
from kilonet.recipe.schema import Recipe
from kilonet.training.checkpoints import Weights
from kilonet.training.data import Split, TrainingData, drawn_digits, split_dataset
from kilonet.training.distributed import ProcessGroup
from kilonet.training.fit import SINGLE, Fit, Outcome
from kilonet.training.seeding import derive

CPU = torch.device("cpu")
SMALL = (
    'model.layers="c4 M p6 c8 M"',
    "data.name=digits",
    "training.epochs=3",
    "training.batch_size=32",
    "training.record_test_by_epoch=false",
    "training.kernels=torch",
    "optimizer.lr=0.05",
)
CLOCKS = ("seconds", "images_per_second")


@lru_cache
def digits() -> Dataset:
    """Return the bundled digits, loaded once."""
    return load_dataset("digits")


def recipe(*overrides: str) -> Recipe:
    """Return a small convolutional recipe with batch norm and dropout, changed by ``overrides``."""
    return resolve("gap-14k", [*SMALL, *overrides]).recipe


def training_data(recipe: Recipe, images: int = 150, validation: int = 60) -> TrainingData:
    """Return the first images of each part that the recipe's split gives."""
    whole = split_dataset(digits(), recipe.data.validation, recipe.training.seed, CPU)
    sizes = {"train": images, "validation": validation, "test": 60}
    parts = {
        name: Split(getattr(whole, name).images[:size], getattr(whole, name).labels[:size])
        for name, size in sizes.items()
    }
    drawn = drawn_digits(digits(), recipe)
    return TrainingData(**parts, mean=whole.mean, std=whole.std, drawn=drawn)


def fit(*overrides: str, group: ProcessGroup = SINGLE) -> Fit:
    """Return a fit of the small recipe that has not begun."""
    chosen = recipe(*overrides)
    torch.manual_seed(derive(chosen.training.seed, "weights"))
    return Fit(build(chosen.model), training_data(chosen), chosen, CPU, group)


def trained(*overrides: str) -> Outcome:
    """Return what a fit of the small recipe leaves."""
    return fit(*overrides).run(lambda _: None, Reporter())


def same(first: Weights, second: Weights) -> bool:
    """Say whether two sets of weights are the same to the bit."""
    return first.keys() == second.keys() and all(
        _bits(first[name]) == _bits(second[name]) for name in first
    )


def _bits(tensor: Tensor) -> bytes:
    return tensor.contiguous().numpy().tobytes()


def figures(history: list[Row]) -> list[Row]:
    """Return the history without what a clock measured."""
    return [{key: row[key] for key in row if key not in CLOCKS} for row in history]
