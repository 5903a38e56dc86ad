"""Train a recipe on images in memory, without a run's directory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from kilonet.data.arrays import statistics
from kilonet.data.dataset import Dataset
from kilonet.errors import UsageError
from kilonet.exports.huggingface.pretrained import Pretrained
from kilonet.models.build import build, check_budget
from kilonet.progress import Reporter, Row, Silent
from kilonet.recipe.load import Resolved
from kilonet.recipe.schema import Recipe
from kilonet.training.device import choose_device, configure, same_threads_after
from kilonet.training.fit import Fit
from kilonet.training.material import prepare
from kilonet.training.seeding import derive
from kilonet.training.weights import put_weights


@dataclass(frozen=True, eq=False)
class Learnt:
    """A trained network, and a row of figures an epoch."""

    pretrained: Pretrained
    history: list[Row]


def learn(
    resolved: Resolved,
    images: Tensor,
    labels: npt.NDArray[np.integer],
    classes: tuple[str, ...],
    reporter: Reporter | None = None,
) -> Learnt:
    """Train the recipe on ``images`` uint8 (N, C, H, W), whose ``labels`` (N,) index ``classes``.

    The recipe's data set is not looked at: only its share of validation images counts. PyTorch's
    random state and threads are left as they were. ``reporter`` gets the progress.

    Raises:
        UsageError: the recipe has teachers, or asks for a device that is not there.
        RecipeError: the network is over its budget or cannot be made for such images.
        TrainingError: the loss is no longer finite.
    """
    recipe = resolved.recipe
    _require_no_teachers(resolved)
    device = choose_device(recipe.training.device)
    dataset = _dataset(images, labels, classes)
    dataset = dataset if recipe.data.normalise else dataset.unnormalised()
    with same_threads_after(), torch.random.fork_rng(devices=[]):
        configure(device, recipe.training.threads, recipe.training.deterministic)
        network = _fresh(recipe, dataset)
        check_budget(network, recipe, resolved.name)
        material = prepare(dataset, recipe.data.validation, recipe.training.seed, device)
        fit = Fit(network, material, recipe, device)
        outcome = fit.run(lambda _: None, reporter or Silent())
        trained = _fresh(recipe, dataset)
    put_weights(trained, outcome.best if recipe.training.keep == "best" else outcome.last)
    shape = (dataset.channels, *dataset.image_size)
    mean, std = dataset.mean, dataset.std
    packed = Pretrained(resolved.name, recipe.model, trained.eval(), shape, mean, std, classes)
    return Learnt(packed, outcome.history)


def _fresh(recipe: Recipe, dataset: Dataset) -> nn.Module:
    torch.manual_seed(derive(recipe.training.seed, "weights"))
    shape = (dataset.channels, *dataset.image_size)
    return build(recipe.model, shape, dataset.num_classes)


def _dataset(images: Tensor, labels: npt.NDArray[np.integer], classes: tuple[str, ...]) -> Dataset:
    """Return the images as a data set without a test split: what tests them is elsewhere."""
    mean, std = statistics(images)
    return Dataset(
        name="arrays",
        title="the images given",
        train_images=images,
        train_labels=torch.from_numpy(labels).long(),
        test_images=images[:0],
        test_labels=torch.empty(0, dtype=torch.int64),
        classes=classes,
        mean=mean,
        std=std,
        source="memory",
    )


def _require_no_teachers(resolved: Resolved) -> None:
    if resolved.recipe.training.teachers:
        raise UsageError(
            f"{resolved.name} learns from trained models (training.teachers), which know their own "
            'data set only. Leave them out: overrides=["training.teachers=[]"].'
        )
