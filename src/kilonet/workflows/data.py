"""A data set at hand, and a picture of it with what a recipe's augmentation does to it."""

from __future__ import annotations

from pathlib import Path

import torch

from kilonet.data.dataset import Dataset, load_dataset
from kilonet.data.folder import folder_path, image_format, is_folder
from kilonet.data.inspect_folder import FolderReport, inspect_folder
from kilonet.data.specs import DEFAULT_FORMAT
from kilonet.errors import UsageError
from kilonet.progress import Reporter
from kilonet.recipe.load import resolve
from kilonet.report.image_grids import sample_grid
from kilonet.training.data import augmentation_in
from kilonet.training.seeding import generator

SAMPLES = 20


def fetch(
    name: str, data_dir: str | Path | None = None, reporter: Reporter | None = None
) -> Dataset:
    """Load the data set ``name``, downloading it where it is not at hand, and return it.

    Raises:
        UsageError: there is no such data set.
        DataError: it cannot be had, or is damaged.
    """
    return load_dataset(name, _path(data_dir), reporter=reporter)


def report(name: str, reporter: Reporter | None = None) -> FolderReport:
    """Return what is in a folder of pictures, and what is wrong with it.

    Raises:
        UsageError: ``name`` is not folder:PATH of a folder that is there.
        DataError: it holds no two classes of readable pictures.
    """
    if not is_folder(name):
        raise UsageError(
            f'"{name}" is no folder of pictures. Write folder:PATH; published data sets are '
            "verified when they are read."
        )
    return inspect_folder(folder_path(name), reporter)


def show_sample(
    name: str,
    path: str | Path,
    *,
    recipe: str | None = None,
    seed: int = 0,
    data_dir: str | Path | None = None,
) -> Path:
    """Write a labelled sample of the training images of ``name`` to the PNG ``path``; return it.

    With a ``recipe`` each image stands above the same one as its augmentation changes it.

    Raises:
        UsageError: the data set or recipe is unknown, or the picture cannot be written.
    """
    resolved = resolve(recipe, [f"data.name={name}"]).recipe if recipe else None
    change = augmentation_in(1, resolved) if resolved else None
    look = image_format(resolved.data) if resolved else DEFAULT_FORMAT
    dataset = load_dataset(name, _path(data_dir), image_format=look)
    order = torch.randperm(len(dataset.train_labels), generator=generator(seed, "sample"))
    chosen = order[:SAMPLES]
    images, labels = dataset.train_images[chosen], dataset.train_labels[chosen]
    changed = change(images, generator(seed, "augmentation")).numpy() if change else None
    target = Path(path)
    try:
        sample_grid(images.numpy(), labels.numpy(), dataset.classes, target, augmented=changed)
    except OSError as error:
        raise UsageError(
            f"Cannot write {target}: {error.strerror or error}. Name another file with --out."
        ) from error
    return target


def _path(given: str | Path | None) -> Path | None:
    return Path(given) if given is not None else None
