"""What a network is trained on: the splits of a data set on one device, and its teachers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from kilonet.data.augment import Augmentation
from kilonet.data.dataset import Dataset
from kilonet.data.split import stratified_split
from kilonet.errors import RecipeError
from kilonet.evaluation.metrics import cross_entropy
from kilonet.evaluation.predict import predict_probabilities
from kilonet.recipe.schema import Recipe


@dataclass(frozen=True)
class Split:
    """Images, uint8 (N, C, H, W), and their labels, int64 (N,)."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, indices: Tensor | slice) -> Split:
        return Split(self.images[indices], self.labels[indices])

    def to(self, device: torch.device) -> Split:
        """Return the same split on ``device``."""
        return Split(self.images.to(device), self.labels.to(device))


@dataclass(frozen=True)
class TrainingData:
    """The splits of a data set, and the statistics that its images are normalised with.

    ``classes`` is the number of classes. ``teachers`` are trained networks in evaluation mode, for
    recipes with distillation.
    """

    train: Split
    validation: Split
    test: Split
    mean: Sequence[float]
    std: Sequence[float]
    classes: int = 10
    teachers: Sequence[nn.Module] = ()

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of an image."""
        channels, height, width = self.train.images.shape[1:]
        return channels, height, width

    def to(self, device: torch.device) -> TrainingData:
        """Return the same data on ``device``."""
        splits = {name: getattr(self, name).to(device) for name in ("train", "validation", "test")}
        return replace(self, **splits, teachers=[teacher.to(device) for teacher in self.teachers])


def split_dataset(
    dataset: Dataset, validation: float, seed: int, device: torch.device
) -> TrainingData:
    """Split ``dataset`` and put it on ``device``; ``validation`` is the fraction held back.

    Raises:
        RecipeError: that fraction leaves nothing to train on, or is too small for one image.
    """
    train, held_back = stratified_split(dataset.train_labels, validation, seed)
    if not len(train) or (validation > 0 and not len(held_back)):
        raise RecipeError(
            f"[data] validation: {validation:g} of the {len(dataset.train_labels):,} training "
            f"images of {dataset.title} leaves {len(train):,} to train on and {len(held_back):,} "
            "to decide by; neither may be 0. Choose another fraction, or 0 for no validation."
        )
    whole = Split(dataset.train_images, dataset.train_labels)
    return TrainingData(
        train=whole[train].to(device),
        validation=whole[held_back].to(device),
        test=Split(dataset.test_images, dataset.test_labels).to(device),
        mean=dataset.mean,
        std=dataset.std,
        classes=dataset.num_classes,
    )


def evaluate_split(
    model: nn.Module, split: Split, data: TrainingData, device: torch.device
) -> tuple[float, float]:
    """Return (mean cross-entropy in nats, accuracy as a fraction) of ``model`` on ``split``."""
    probabilities = predict_probabilities(
        model, split.images, data.mean, data.std, batch_size=500, device=device
    )
    labels = split.labels.cpu().numpy()
    accuracy = float((probabilities.argmax(axis=1) == labels).mean())
    return cross_entropy(probabilities, labels), accuracy


def augmentation_in(epoch: int, recipe: Recipe) -> Augmentation:
    """Return the augmentation of the training images in ``epoch``, counted from 1.

    After the share ``augmentation.until`` of the epochs there is none. Augmented images differ from
    those that the network is for; a network that ends on the real ones keeps what it has learned
    from the variety (He et al., "Data augmentation revisited", 2019). Networks too small to learn
    all augmented images gain most.
    """
    settings = recipe.augmentation.model_dump()
    until = settings.pop("until")
    is_over = epoch > round(until * recipe.training.epochs)
    return Augmentation() if is_over else Augmentation(**settings)
