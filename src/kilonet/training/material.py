"""What a fit works on: the parts of a data set, and networks that teach, on one device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from kilonet.data.dataset import Dataset
from kilonet.data.split import split_validation
from kilonet.errors import RecipeError
from kilonet.evaluation.metrics import cross_entropy
from kilonet.evaluation.predict import predict_probabilities


@dataclass(frozen=True)
class Part:
    """Images uint8 N×C×H×W and their labels int64 N."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device) -> Part:
        """Return the same part on ``device``."""
        return Part(self.images.to(device), self.labels.to(device))


@dataclass(frozen=True)
class Material:
    """The parts of a data set, and the statistics that images are normalised with.

    ``classes`` is how many there are. ``teachers`` are trained networks in evaluation mode, for
    recipes that learn from such.
    """

    train: Part
    validation: Part
    test: Part
    mean: Sequence[float]
    std: Sequence[float]
    classes: int = 10
    teachers: Sequence[nn.Module] = ()

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of an image."""
        channels, height, width = self.train.images.shape[1:]
        return channels, height, width

    def to(self, device: torch.device) -> Material:
        """Return the same material on ``device``."""
        parts = {name: getattr(self, name).to(device) for name in ("train", "validation", "test")}
        return replace(self, **parts, teachers=[teacher.to(device) for teacher in self.teachers])


def prepare(dataset: Dataset, validation: float, seed: int, device: torch.device) -> Material:
    """Split ``dataset`` and put it on ``device``; ``validation`` is the fraction held back.

    Raises:
        RecipeError: that fraction leaves nothing to train on, or is too small for one image.
    """
    kept, held_back = split_validation(dataset.train_labels, validation, seed)
    if not len(kept) or (validation > 0 and not len(held_back)):
        raise RecipeError(
            f"[data] validation: {validation:g} of the {len(dataset.train_labels):,} training "
            f"images of {dataset.title} leaves {len(kept):,} to train on and {len(held_back):,} "
            "to decide by; neither may be 0. Choose another fraction, or 0 for no validation."
        )
    whole = Part(dataset.train_images, dataset.train_labels)
    return Material(
        train=_select(whole, kept).to(device),
        validation=_select(whole, held_back).to(device),
        test=Part(dataset.test_images, dataset.test_labels).to(device),
        mean=dataset.mean,
        std=dataset.std,
        classes=dataset.num_classes,
    )


def _select(part: Part, indices: Tensor) -> Part:
    return Part(part.images[indices], part.labels[indices])


def score(
    model: nn.Module, part: Part, material: Material, device: torch.device
) -> tuple[float, float]:
    """Return (mean cross-entropy in nats, accuracy as a fraction) of ``model`` on ``part``."""
    probabilities = predict_probabilities(
        model, part.images, material.mean, material.std, batch_size=500, device=device
    )
    labels = part.labels.cpu().numpy()
    return cross_entropy(probabilities, labels), float(
        (probabilities.argmax(axis=1) == labels).mean()
    )
