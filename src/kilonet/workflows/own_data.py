"""Data of the user's own in memory: arrays, PyTorch's and Hugging Face's data sets, as a Dataset.

Every form becomes two parts, images and labels, for each of its splits. Images are kept as grey
levels 0–255.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from kilonet.data.arrays import statistics
from kilonet.data.dataset import Dataset
from kilonet.data.registry import DATASETS
from kilonet.data.split import stratified_split
from kilonet.errors import UsageError
from kilonet.metadata import FIT, INK, MNIST_SHAPE
from kilonet.preprocessing import letterbox
from kilonet.recipe.schema import FOLDER, MEMORY
from kilonet.workflows.arrays import ArrayError, ArrayFormat, as_rows, grey_range, shape_of

TEST_FRACTION = 0.2
SIDE = 32  # to which pictures of different sizes are scaled
_SPLIT_SEED = 20
_GREY_MODES = ("1", "L", "LA", "I", "I;16", "F")
_FORMS = (
    "Give a registered name, a folder, a pair of arrays (images, labels), a torch Dataset, a split "
    "of Hugging Face datasets, or a pair of these: (training, test)."
)


@dataclass(frozen=True, eq=False)
class _Part:
    """A split as it was given: images, one label each, and the classes' names if they have any."""

    images: Any
    labels: npt.NDArray[Any]
    names: tuple[str, ...] | None = None


def name_of(data: object) -> str | None:
    """Return the name of the data set that ``data`` is, a name or a folder; None for other forms.

    A folder's path need not begin with "folder:".
    """
    if isinstance(data, str) and not (data not in DATASETS and Path(data).is_dir()):
        return data
    return f"{FOLDER}{os.fspath(data)}" if isinstance(data, str | os.PathLike) else None


def as_dataset(data: object, *, for_test: bool = False) -> Dataset:
    """Return ``data``, which is in memory, as a data set.

    Of one split, a stratified fifth becomes the test split, which depends only on the labels; with
    ``for_test`` all of it is the test split. Bytes are grey levels; of other numbers, the smallest
    in training becomes black and the largest white. Pictures of different sizes are scaled to
    32×32.

    Raises:
        UsageError: it is of another form.
        ArrayError: it does not hold images of one shape and a label for each.
    """
    if isinstance(data, Dataset):
        return data
    own = getattr(data, "dataset", None)
    if isinstance(own, Dataset):  # of kilonet.dataset
        return own
    parts = [_part(one) for one in _splits(data)]
    classes, labels = _classes(parts)
    images = _images(parts)
    if len(parts) == 1 and for_test:
        images, labels = images * 2, labels * 2
    elif len(parts) == 1:
        train, test = stratified_split(labels[0], TEST_FRACTION, _SPLIT_SEED)
        images, labels = ([values[0][train], values[0][test]] for values in (images, labels))
    return _dataset(images, labels, classes)


def in_classes(dataset: Dataset, classes: tuple[str, ...]) -> Dataset:
    """Return ``dataset`` with its labels in the order of ``classes`` if those include its own."""
    if dataset.classes == classes or not set(dataset.classes) <= set(classes):
        return dataset
    index = torch.tensor([classes.index(name) for name in dataset.classes])
    train, test = index[dataset.train_labels], index[dataset.test_labels]
    return replace(dataset, classes=classes, train_labels=train, test_labels=test)


def _splits(data: Any) -> Sequence[Any]:
    """Return the training split, and the test split if there is one."""
    if isinstance(data, Mapping):
        if "train" not in data:
            raise UsageError(f'data has no split "train", but {", ".join(map(str, data))}.')
        test = next((data[name] for name in ("test", "validation", "valid") if name in data), None)
        return [data["train"]] if test is None else [data["train"], test]
    if isinstance(data, tuple | list) and len(data) == 2 and not _is_labels(data[1]):
        return data
    return [data]


def _is_labels(values: Any) -> bool:
    if isinstance(values, str | tuple) or _is_hugging_face(values) or _is_torch(values):
        return False
    with suppress(ValueError):  # pairs of arrays in lists
        return np.ndim(values) == 1
    return False


def _is_torch(data: Any) -> bool:
    return isinstance(data, torch.utils.data.Dataset) or (
        not isinstance(data, str | bytes | np.ndarray | Tensor | list | tuple)
        and hasattr(data, "__getitem__")
        and hasattr(data, "__len__")
    )


def _is_hugging_face(data: Any) -> bool:
    return hasattr(data, "features") and hasattr(data, "column_names")


def _part(data: Any) -> _Part:
    if _is_hugging_face(data):
        return _hugging_face_part(data)
    if isinstance(data, tuple | list) and len(data) == 2:
        images, labels = data
        values = _array(labels)
        count = len(images) if hasattr(images, "__len__") else 0
        if values.ndim == 1 and count == len(values) > 0:
            return _Part(images, values)
        raise ArrayError(
            f"A pair of arrays has as many images as labels (N,), 1 or more; these are "
            f"{count:,} images and labels of shape {values.shape}."
        )
    if not _is_torch(data):
        raise UsageError(f"data is {type(data).__name__}. {_FORMS}")
    if not hasattr(data, "__len__"):
        raise ArrayError(f"{type(data).__name__} has no length. {_FORMS}")
    try:
        items = [data[index] for index in range(len(data))]
        images, labels = [item[0] for item in items], [item[1] for item in items]
    except (TypeError, IndexError, KeyError) as error:
        raise ArrayError(
            f"The items of {type(data).__name__} are not pairs (image, label): {error!r}."
        ) from error
    return _Part(images, _array(labels), _names(getattr(data, "classes", None)))


def _hugging_face_part(data: Any) -> _Part:
    """Return a split of Hugging Face's ``datasets``: its image column and its label column."""
    kinds = {name: type(feature).__name__ for name, feature in data.features.items()}
    image = next((n for n, kind in kinds.items() if kind == "Image" or n in ("image", "img")), None)
    label = next((n for n, kind in kinds.items() if kind == "ClassLabel" or n == "label"), None)
    if image is None or label is None:
        raise ArrayError(
            f"The split has the columns {', '.join(kinds)}; expected one of images and one of "
            'labels (ClassLabel). Rename them "image" and "label" with rename_column.'
        )
    names = _names(getattr(data.features[label], "names", None))
    rows = list(data)
    return _Part([row[image] for row in rows], _array([row[label] for row in rows]), names)


def _names(given: Any) -> tuple[str, ...] | None:
    return tuple(map(str, given)) if isinstance(given, list | tuple) else None


def _array(values: Any) -> npt.NDArray[Any]:
    if isinstance(values, Tensor):
        return values.detach().cpu().numpy()
    try:
        return np.asarray(values)
    except (ValueError, TypeError) as error:
        raise ArrayError(f"These are not numbers of one shape: {error}.") from error


def _classes(parts: Sequence[_Part]) -> tuple[tuple[str, ...], list[Tensor]]:
    """Return the names of the classes and the labels of each split as numbers from 0."""
    names, train = parts[0].names, parts[0].labels
    if names is not None and all(np.issubdtype(part.labels.dtype, np.integer) for part in parts):
        values: npt.NDArray[Any] = np.arange(len(names))
    else:
        values = np.unique(train)
        names = tuple(str(value) for value in values)
    if len(values) < 2:
        raise ArrayError("The labels have 1 class only; there is nothing to tell apart.")
    for part in parts:
        if unknown := set(part.labels.tolist()) - set(values.tolist()):
            raise ArrayError(f"There is no training image of the class {min(unknown)!r}.")
    return names, [torch.from_numpy(np.searchsorted(values, part.labels)) for part in parts]


def _images(parts: Sequence[_Part]) -> list[Tensor]:
    """Return the images of each split, uint8 (N, C, H, W), in the format of the training split."""
    pictures = [image for part in parts for image in part.images if isinstance(image, Image.Image)]
    if pictures:
        shape = _picture_shape(pictures)
        scaled = [np.stack([letterbox(image, shape) for image in part.images]) for part in parts]
        return [torch.from_numpy(images) for images in scaled]
    given = [_stacked(part.images) for part in parts]
    rows = [np.asarray(as_rows(images)) for images in given]
    own_format = ArrayFormat(shape_of(given[0], rows[0].shape[1], None), *grey_range(rows[0]))
    for images in given[1:]:
        if images.shape[1:] != given[0].shape[1:]:
            raise ArrayError(
                f"Training images are {given[0].shape[1:]}, test images {images.shape[1:]}."
            )
    return [own_format.images(one) for one in rows]


def _stacked(images: Any) -> npt.NDArray[Any]:
    values = _array(images if not isinstance(images, list) else [_array(one) for one in images])
    if values.dtype == object or values.ndim < 2:
        raise ArrayError("The images have different shapes, or are no numbers. Resize them first.")
    if not np.issubdtype(values.dtype, np.number) or not np.isfinite(values).all():
        raise ArrayError("The images hold values that are no finite numbers.")
    return values


def _picture_shape(pictures: Sequence[Image.Image]) -> tuple[int, int, int]:
    sizes = {picture.size for picture in pictures}
    channels = 1 if all(picture.mode in _GREY_MODES for picture in pictures) else 3
    width, height = sizes.pop() if len(sizes) == 1 else (SIDE, SIDE)
    return channels, height, width


def _dataset(images: list[Tensor], labels: list[Tensor], classes: tuple[str, ...]) -> Dataset:
    digest = hashlib.sha256("\0".join(classes).encode("utf-8", "surrogateescape"))
    for tensor in (*images, *labels):
        digest.update(tensor.numpy().tobytes())
    fingerprint = digest.hexdigest()[:16]
    mean, std = statistics(images[0])
    single = all(len(name) == 1 and name.isalnum() for name in classes)
    is_ink = single and tuple(images[0].shape[1:]) == MNIST_SHAPE
    return Dataset(
        name=f"{MEMORY}{fingerprint[:8]}",
        title="the images given in Python",
        train_images=images[0],
        train_labels=labels[0],
        test_images=images[1],
        test_labels=labels[1],
        classes=classes,
        mean=mean,
        std=std,
        source="memory",
        preparation=INK if is_ink else FIT,  # type: ignore[arg-type]
        fingerprint=fingerprint,
    )
