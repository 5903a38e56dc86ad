"""A picture of what a data set looks like, and what a recipe's augmentation does to it."""

from __future__ import annotations

from pathlib import Path

import torch

from kilonet.data.augment import Augmentation
from kilonet.data.dataset import load_dataset
from kilonet.errors import UsageError
from kilonet.recipe.load import resolve
from kilonet.report.plots import sample_grid
from kilonet.training.seeding import generator

SAMPLES = 20


def show_sample(
    name: str,
    path: Path,
    *,
    recipe: str | None = None,
    seed: int = 0,
    data_dir: Path | None = None,
) -> Path:
    """Write a labelled sample of the training images of ``name`` to the PNG ``path``; return it.

    With a ``recipe`` each image stands above the same one as its augmentation changes it.

    Raises:
        UsageError: the data set or recipe is unknown, or the picture cannot be written.
    """
    augmentation = resolve(recipe).recipe.augmentation if recipe else None
    dataset = load_dataset(name, data_dir)
    order = torch.randperm(len(dataset.train_labels), generator=generator(seed, "sample"))
    chosen = order[:SAMPLES]
    images, labels = dataset.train_images[chosen], dataset.train_labels[chosen]
    changed = None
    if augmentation is not None:
        change = Augmentation(**augmentation.model_dump())
        changed = change(images, generator(seed, "augmentation")).numpy()
    try:
        sample_grid(images.numpy(), labels.numpy(), dataset.classes, path, augmented=changed)
    except OSError as error:
        raise UsageError(f"Cannot write {path}: {error.strerror or error}.") from error
    return path
