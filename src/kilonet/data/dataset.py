"""A data set in memory: four tensors and what their numbers mean."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from kilonet import paths
from kilonet.data.digits import load_digits
from kilonet.data.download import download as fetch
from kilonet.data.idx import read_idx_images, read_idx_labels
from kilonet.data.locate import Files, locate
from kilonet.data.locate import is_available as is_available  # offered here too
from kilonet.data.registry import DatasetSpec, spec
from kilonet.errors import DataError


@dataclass(frozen=True)
class Dataset:
    """All images and labels of a data set.

    Images are uint8, (N, C, H, W), 0–255; labels int64, (N,), 0 … ``num_classes`` − 1. ``mean``
    and ``std`` are those of pixels divided by 255, one per channel. ``source`` says where the
    data was found.
    """

    name: str
    title: str
    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    source: str

    @property
    def channels(self) -> int:
        """C: 1 for grey images."""
        return self.train_images.shape[1]

    @property
    def image_size(self) -> tuple[int, int]:
        """(H, W) in pixels."""
        return self.train_images.shape[2], self.train_images.shape[3]

    @property
    def num_classes(self) -> int:
        """How many classes there are."""
        return len(self.classes)


def load_dataset(
    name: str, data_dir: Path | None = None, *, download: bool = True, progress: bool = False
) -> Dataset:
    """Find, or else fetch, the data set ``name``, verify it, and return it.

    Looks in ``data_dir`` (None: the directory that ``KILONET_DATA`` names), then in the user's
    cache, then downloads to the cache unless ``download`` is False; ``progress`` shows a bar.
    Raises ``UsageError`` for an unknown name and ``DataError`` where the files are missing and
    cannot be fetched, are damaged, or are not the published ones.
    """
    entry = spec(name)
    if not entry.files:
        return _dataset(entry, load_digits(), "scikit-learn")
    files = locate(entry, data_dir)
    if files is None:
        if download:
            fetch(entry, paths.data_cache(), progress)
        files = locate(entry, data_dir)
    if files is None:
        raise DataError(f"{entry.title} was not found.")
    return _dataset(entry, _read(entry, files), str(files["train_images"].parent))


def _dataset(
    entry: DatasetSpec, tensors: tuple[Tensor, Tensor, Tensor, Tensor], source: str
) -> Dataset:
    return Dataset(
        entry.name, entry.title, *tensors, entry.classes, entry.mean, entry.std, source
    )


def _read(entry: DatasetSpec, files: Files) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    train = _read_part(entry, files, "train", entry.train_count)
    test = _read_part(entry, files, "test", entry.test_count)
    return *train, *test


def _read_part(
    entry: DatasetSpec, files: Files, part: str, count: int
) -> tuple[Tensor, Tensor]:
    images_role, labels_role = f"{part}_images", f"{part}_labels"
    images = read_idx_images(files[images_role], entry.files[images_role].sha256)
    labels = read_idx_labels(
        files[labels_role], len(entry.classes), entry.files[labels_role].sha256
    )
    for role, found in ((images_role, len(images)), (labels_role, len(labels))):
        if found != count:
            raise DataError(
                f"{files[role]} holds {found:,} items; {entry.title} has {count:,} there. "
                "Is it a file of another set or part?"
            )
    return torch.from_numpy(images).unsqueeze(1), torch.from_numpy(labels).long()
