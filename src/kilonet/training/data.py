"""What a network is trained on: the splits of a data set on one device, and its teachers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from kilonet.data.augment import Augmentation
from kilonet.data.dataset import Dataset
from kilonet.data.handwriting import DIGITS, SHAPE, handwritten_digits
from kilonet.data.split import stratified_split
from kilonet.errors import RecipeError
from kilonet.evaluation.metrics import cross_entropy
from kilonet.evaluation.predict import predict_probabilities
from kilonet.recipe.schema import Recipe
from kilonet.training.seeding import generator

DRAWN = 10_000  # digits that augmentation.handwriting chooses from


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
    recipes with distillation. ``drawn`` are digits that replace some of a batch, for recipes with
    ``augmentation.handwriting``.
    """

    train: Split
    validation: Split
    test: Split
    mean: Sequence[float]
    std: Sequence[float]
    classes: int = 10
    teachers: Sequence[nn.Module] = ()
    drawn: Split | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of an image."""
        channels, height, width = self.train.images.shape[1:]
        return channels, height, width

    def to(self, device: torch.device) -> TrainingData:
        """Return the same data on ``device``."""
        splits = {name: getattr(self, name).to(device) for name in ("train", "validation", "test")}
        teachers = [teacher.to(device) for teacher in self.teachers]
        drawn = self.drawn.to(device) if self.drawn else None
        return replace(self, **splits, teachers=teachers, drawn=drawn)


def split_dataset(
    dataset: Dataset, validation: float, seed: int, device: torch.device
) -> TrainingData:
    """Split ``dataset`` and put it on ``device``; ``validation`` is the fraction held back."""
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


def drawn_digits(dataset: Dataset, recipe: Recipe) -> Split | None:
    """Return the digits that ``augmentation.handwriting`` mixes into batches; None without it."""
    if not recipe.augmentation.handwriting:
        return None
    info = dataset.info
    if (info.shape, info.classes, info.preparation) != (SHAPE, DIGITS, "ink"):
        raise RecipeError(
            "[augmentation] handwriting draws the digits 0 to 9 as 28×28 grey images, bright on "
            f"black, but {dataset.title} has other classes or images. Set it to 0."
        )
    return Split(*handwritten_digits(DRAWN, generator(recipe.training.seed, "handwriting")))


def mixed(batch: Split, drawn: Split, share: float, rng: torch.Generator) -> Split:
    """Return ``batch`` with each image replaced by one of ``drawn`` with probability ``share``."""
    random = torch.rand(2, len(batch), generator=rng, device=rng.device).to(batch.labels.device)
    chosen = random[0] < share
    others = drawn[(random[1] * len(drawn)).long().clamp(max=len(drawn) - 1)]
    return Split(
        torch.where(chosen.view(-1, 1, 1, 1), others.images, batch.images),
        torch.where(chosen, others.labels, batch.labels),
    )


def balanced_weights(labels: Tensor, classes: int) -> Tensor:
    """Return a weight for each class, float32 (K,): N / (K · its images), so that their mean is 1.

    A class without images has the weight 0.
    """
    counts = torch.bincount(labels, minlength=classes).float()
    present = int((counts > 0).sum())
    return torch.where(counts > 0, len(labels) / (present * counts.clamp(min=1)), 0.0)


def balanced_indices(labels: Tensor, classes: int, rng: torch.Generator) -> Tensor:
    """Return as many indices of images as there are ``labels``, each class as likely as another."""
    weights = balanced_weights(labels, classes)[labels].cpu()
    return torch.multinomial(weights, len(labels), replacement=True, generator=rng)


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
    all augmented images gain most. Drawn digits stay: networks forget them within a few epochs.
    """
    settings = recipe.augmentation.model_dump()
    until, _ = settings.pop("until"), settings.pop("handwriting")
    is_over = epoch > round(until * recipe.training.epochs)
    return Augmentation() if is_over else Augmentation(**settings)
