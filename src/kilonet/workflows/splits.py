"""The splits of a data set, and their augmented batches, for a loop of the user's own."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from kilonet.data.batches import batches, normalise
from kilonet.data.dataset import Dataset
from kilonet.data.folder import resolved_data
from kilonet.errors import UsageError
from kilonet.recipe.load import resolve, value_text
from kilonet.recipe.schema import Data, Recipe
from kilonet.training.data import (
    Split,
    TrainingData,
    augmentation_in,
    drawn_digits,
    mixed,
    split_dataset,
)
from kilonet.training.seeding import generator
from kilonet.workflows.data import load_recipe_data
from kilonet.workflows.own_data import as_dataset, name_of


class ImageSplit(torch.utils.data.Dataset[tuple[Tensor, int]]):
    """A split of a data set: normalised images, float32 C×H×W, and their labels.

    ``images`` is uint8 (N, C, H, W), ``labels`` int64 (N,); ``data`` is the whole data set.
    """

    def __init__(self, split: Split, data: Dataset) -> None:
        self.images, self.labels, self.data = split.images, split.labels, data

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image = normalise(self.images[index][None], self.data.mean, self.data.std)
        return image[0], int(self.labels[index])

    def loader(
        self,
        batch_size: int = 128,
        *,
        augmentation: str | Path | Mapping[str, Any] | None = None,
        shuffle: bool = True,
        seed: int = 0,
        device: str | torch.device = "cpu",
    ) -> ImageLoader:
        """Return an iterable of batches: images, float32 N×C×H×W, and labels, int64 (N,).

        ``augmentation`` is a recipe whose augmentation is applied to each batch as a whole, or keys
        of its section such as ``{"rotation": 10.0}``. Each iteration is an epoch with an order and
        changes of its own; they are those of ``kilonet.train`` with the same ``seed`` (except for
        the key ``until``, as the number of epochs is not known). The last batch may be shorter.

        Raises:
            UsageError, RecipeError: there is no such recipe, or a key or value is wrong.
        """
        if batch_size < 1:
            raise UsageError(f"batch_size is {batch_size}; expected 1 or more.")
        recipe = _augmenting(augmentation, seed)
        return ImageLoader(self, batch_size, recipe, shuffle, torch.device(device))


class ImageLoader:
    """The batches of a split, in another order in each iteration."""

    def __init__(
        self,
        split: ImageSplit,
        batch_size: int,
        recipe: Recipe,
        shuffle: bool,
        device: torch.device,
    ) -> None:
        self.epoch = 0
        self._batch_size, self._recipe, self._shuffle = batch_size, recipe, shuffle
        self._split = Split(split.images, split.labels).to(device)
        self._mean, self._std = split.data.mean, split.data.std
        self._augment = augmentation_in(1, recipe)
        self._drawn = drawn_digits(split.data, recipe)

    def __len__(self) -> int:
        return math.ceil(len(self._split) / self._batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        self.epoch += 1
        seed = self._recipe.training.seed
        order = generator(seed, "order", self.epoch) if self._shuffle else None
        rng = generator(seed, "augmentation", self.epoch)
        indices = torch.arange(len(self._split), device=self._split.labels.device)
        for chosen in batches(indices, self._batch_size, order):
            batch = self._split[chosen]
            if self._drawn is not None:
                batch = mixed(batch, self._drawn, self._recipe.augmentation.handwriting, rng)
            yield normalise(self._augment(batch.images, rng), self._mean, self._std), batch.labels


def _augmenting(augmentation: str | Path | Mapping[str, Any] | None, seed: int) -> Recipe:
    """Return a recipe with this augmentation and seed."""
    words = [f"training.seed={seed}", "augmentation.until=1.0"]
    if isinstance(augmentation, str | Path):
        return resolve(augmentation, words).recipe
    keys = [f"augmentation.{key}={value}" for key, value in (augmentation or {}).items()]
    return resolve("plain-valid-sgd", [*words, *keys]).recipe


@dataclass(frozen=True, eq=False)
class Splits:
    """A data set for a loop of one's own.

    ``validation`` is for decisions; ``test`` decides nothing. ``dataset`` has all of it.
    """

    train: ImageSplit
    validation: ImageSplit
    test: ImageSplit
    dataset: Dataset

    @property
    def classes(self) -> tuple[str, ...]:
        """The name of each class."""
        return self.dataset.classes


def dataset(
    data: Any,
    *,
    validation: float = 1 / 12,
    seed: int = 0,
    side: int | None = None,
    colour: bool | None = None,
    data_dir: str | Path | None = None,
) -> Splits:
    """Return the splits of a data set as PyTorch ``Dataset``s, to train in a loop of your own.

    ``data`` is what ``train`` takes: a registered name, a folder of pictures (scaled to ``side``
    pixels, in ``colour`` or grey), a pair of arrays, a torch ``Dataset``, or a split of Hugging
    Face ``datasets``. ``validation`` is the fraction of the training images that is held back, as
    in a recipe with the same ``seed``.

    Raises:
        UsageError, RecipeError: there is no such data set, or a number is wrong.
        DataError: it cannot be found, or is damaged.
    """
    name = name_of(data)
    if name is None:
        loaded = as_dataset(data)
    else:
        section = resolved_data(_section(name, side, colour))
        loaded = load_recipe_data(section, data_dir)
    parts: TrainingData = split_dataset(loaded, validation, seed, torch.device("cpu"))
    train, held_back, test = (
        ImageSplit(part, loaded) for part in (parts.train, parts.validation, parts.test)
    )
    return Splits(train, held_back, test, loaded)


def _section(name: str, side: int | None, colour: bool | None) -> Data:
    words = {"side": side, "colour": colour}
    given = [f"data.{key}={value_text(value)}" for key, value in words.items() if value is not None]
    return resolve("plain-valid-sgd", [f"data.name={name}", *given]).recipe.data
