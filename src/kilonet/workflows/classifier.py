"""A recipe as a scikit-learn estimator."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor, nn

from kilonet.data.arrays import statistics
from kilonet.data.dataset import Dataset
from kilonet.errors import UsageError
from kilonet.evaluation.predict import predict_probabilities
from kilonet.exports.huggingface.pretrained import Pretrained
from kilonet.extras import require
from kilonet.progress import PrintReporter, Reporter, Row
from kilonet.recipe.keys import as_overrides
from kilonet.recipe.load import Resolved, resolve
from kilonet.training.checkpoints import put_weights
from kilonet.training.device import choose_device
from kilonet.workflows.arrays import (
    ArrayError,
    ArrayFormat,
    array_errors,
    as_rows,
    grey_range,
    require_shape,
    shape_of,
)
from kilonet.workflows.export import find_pretrained
from kilonet.workflows.finetune import recipe_to_go_on
from kilonet.workflows.runs import Run
from kilonet.workflows.session import fresh_network, open_session

# These keys are for runs, which an estimator does not make; few images need more epochs than MNIST.
_OVERRIDES = ("constraints.max_epochs=off", "training.record_test_by_epoch=false")


class Classifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """An image classifier for scikit-learn, trained by a recipe.

    Works with ``clone``, ``Pipeline``, ``GridSearchCV``, ``cross_val_score`` and pickling. Images
    are rows of numbers, or arrays N×H×W or N×C×H×W; labels are what scikit-learn accepts. Bytes
    (uint8) are grey levels; of other numbers, the smallest in training becomes black and the
    largest white. Sides under 28 pixels are enlarged to 28. Nothing is written to disk.

    Args:
        recipe: A shipped recipe's name, or the path of a ``.toml`` file. None: that of the
            ``weights`` (see ``train``), or "quick".
        weights: A run, a shipped model or a folder of ``save_pretrained`` whose weights ``fit``
            starts from; the last layer is new if the classes differ.
        epochs: Passes over the training images. None here and below: the value of the recipe.
        lr: Learning rate.
        batch_size: Images per step.
        validation: Fraction of the images held back to decide by; 0 for none.
        max_parameters: The budget: ``fit`` refuses a network that has more parameters.
        input_shape: (H, W) or (C, H, W) of the images in rows; None: square and grey.
        overrides: Words for any other key of the recipe, such as ``"augmentation.rotation=10"``.
        seed: Seed of all randomness; the same seed gives the same network on a machine.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps", for training and predicting.
        threads: CPU threads in training; None: PyTorch's default.
        verbose: Print one line per epoch.

    Attributes:
        classes_: The labels, in the order of ``predict_proba``'s columns.
        n_features_in_: Numbers per image.
        image_shape_: (C, H, W) of the images as they were given.
        history_: A row per epoch: losses, accuracies as fractions, learning rate, seconds.
        pretrained_: The trained network with its normalisation; this is pickled and saved.
    """

    def __init__(  # noqa: PLR0913 - scikit-learn's searches set each parameter
        self,
        recipe: str | Path | None = None,
        *,
        weights: str | Path | None = None,
        epochs: int | None = None,
        lr: float | None = None,
        batch_size: int | None = None,
        validation: float | None = None,
        max_parameters: int | None = None,
        input_shape: Sequence[int] | None = None,
        overrides: Sequence[str] = (),
        seed: int = 0,
        device: str = "auto",
        threads: int | None = None,
        verbose: bool = False,
    ) -> None:
        self.recipe = recipe
        self.weights = weights
        self.epochs = epochs
        self.lr = lr
        self.batch_size = batch_size
        self.validation = validation
        self.max_parameters = max_parameters
        self.input_shape = input_shape
        self.overrides = overrides
        self.seed = seed
        self.device = device
        self.threads = threads
        self.verbose = verbose

    def fit(self, X: Any, y: Any) -> Self:  # noqa: N803
        """Train on images ``X`` with labels ``y`` (N,), and return self.

        Raises:
            ArrayError: these are not images, or not labels of two or more classes; a ValueError.
            UsageError, RecipeError: a parameter is wrong, or the network is over its budget.
            TrainingError: the loss is no longer finite.
        """
        require("train")
        resolved = self._resolved()
        with array_errors():
            rows, y = validate_data(self, as_rows(X), y, dtype="numeric")
            check_classification_targets(y)
        shape = shape_of(X, rows.shape[1], self.input_shape)
        classes, labels = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            raise ArrayError(f"y has 1 class only, {classes[0]!r}; there is nothing to tell apart.")
        self._format = ArrayFormat(shape, *grey_range(rows))
        names = tuple(str(name) for name in classes)
        reporter = PrintReporter() if self.verbose else None
        dataset = _dataset(self._format.images(rows), labels, names)
        self.pretrained_, self.history_ = _train(resolved, dataset, reporter)
        self.classes_, self.image_shape_ = classes, shape
        return self

    def predict_proba(self, X: Any) -> npt.NDArray[np.float64]:  # noqa: N803
        """Return the probability of each class for each image of ``X``, float64 (N, K).

        Raises:
            sklearn.exceptions.NotFittedError: ``fit`` was not called.
            ArrayError: these are not images of the kind trained on; a ValueError.
        """
        check_is_fitted(self)
        require_shape(X, self.image_shape_)
        with array_errors():
            rows = validate_data(self, as_rows(X), reset=False, dtype="numeric")
        device = choose_device(self.device)
        images, pretrained = self._format.images(rows), self.pretrained_
        network = pretrained.network.to(device)
        return predict_probabilities(
            network, images, pretrained.mean, pretrained.std, device=device
        )

    def predict(self, X: Any) -> npt.NDArray[Any]:  # noqa: N803
        """Return the most probable label of each image of ``X``, (N,), of the type that ``y`` had.

        Raises:
            sklearn.exceptions.NotFittedError: ``fit`` was not called.
            ArrayError: these are not images of the kind trained on; a ValueError.
        """
        indices = self.predict_proba(X).argmax(axis=1)
        labels: npt.NDArray[Any] = self.classes_[indices]
        return labels

    @classmethod
    def from_pretrained(cls, source: str | Path | Run, *, model: str | None = None) -> Self:
        """Return a fitted classifier with the network of a folder, of a run, or that ships.

        It takes grey levels 0–255 of any dtype, in the shape that the network was built for; its
        labels are strings. ``fit`` goes on from its weights. ``model`` is the class of the network
        if it is your own.

        Raises:
            UsageError: there is no such folder or run.
            RunError, CheckpointError: it is damaged, unfinished, or of another kind.
        """
        pretrained = find_pretrained(source, model)
        classifier = cls(weights=source.path if isinstance(source, Run) else source)
        classifier.classes_ = np.array(pretrained.classes)
        classifier.image_shape_ = pretrained.input_shape
        classifier.n_features_in_ = math.prod(pretrained.input_shape)
        classifier._format = ArrayFormat(pretrained.input_shape, 0.0, 255.0)
        classifier.pretrained_, classifier.history_ = pretrained, []
        return classifier

    @property
    def network_(self) -> nn.Module:
        """The trained network: normalised float32 images N×C×H×W to logits N×K."""
        check_is_fitted(self)
        network: nn.Module = self.pretrained_.network
        return network

    def __sklearn_tags__(self) -> Tags:
        """Return scikit-learn's tags: images are accepted too."""
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    def _resolved(self) -> Resolved:
        """Return the recipe with this estimator's parameters in it."""
        names = ("epochs", "lr", "batch_size", "validation", "max_parameters", "threads")
        given = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        given |= {"seed": self.seed, "device": self.device}
        if self.weights is not None:
            given["weights"] = str(self.weights)
        plain = {
            name: value.item() if isinstance(value, np.generic) else value
            for name, value in given.items()
        }
        words = [*_OVERRIDES, *self.overrides, *as_overrides(plain)]
        if self.recipe is not None:
            return resolve(self.recipe, words)
        recipe, name = recipe_to_go_on(words)
        return resolve(recipe, words, name)


def _train(
    resolved: Resolved, dataset: Dataset, reporter: Reporter | None
) -> tuple[Pretrained, list[Row]]:
    """Train the recipe on ``dataset``; return the network and a row of figures per epoch.

    Only the recipe's share of validation images counts of its ``[data]`` section. PyTorch's random
    state is left as it was.

    Raises:
        UsageError: the recipe has teachers, or names a device that is not available.
        RecipeError: the network is over its budget or cannot be built for such images.
        TrainingError: the loss is no longer finite.
    """
    recipe = resolved.recipe
    _require_no_teachers(resolved)
    with torch.random.fork_rng(devices=[]), open_session(resolved, dataset=dataset) as session:
        outcome = session.run(reporter)
        dataset = session.dataset
        network = fresh_network(recipe, dataset)  # the trained one may have compiled kernels
    put_weights(network, outcome.final_weights(recipe))
    shape = (dataset.channels, *dataset.image_size)
    mean, std, classes = dataset.mean, dataset.std, dataset.classes
    pretrained = Pretrained(resolved.name, recipe.model, network.eval(), shape, mean, std, classes)
    return pretrained, outcome.history


def _dataset(images: Tensor, labels: npt.NDArray[np.integer], classes: tuple[str, ...]) -> Dataset:
    """Return images, uint8 (N, C, H, W), and labels (N,) as a data set without a test split."""
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
