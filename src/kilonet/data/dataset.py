"""A data set in memory: its tensors, classes and statistics; and loading it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from kilonet.data.arrays import load_digits
from kilonet.data.batches import channel_statistics
from kilonet.data.download import DownloadError
from kilonet.data.download import download as fetch
from kilonet.data.folder import folder_path, is_folder
from kilonet.data.formats import Bytes, images_of, read_idx_images, read_idx_labels, read_records
from kilonet.data.locate import (
    Files,
    check_bytes,
    check_count,
    check_published,
    folder_of,
    incomplete,
    is_available,
    locate,
    search_path,
)
from kilonet.data.read_folder import FolderContent, Tensors, read_folder
from kilonet.data.registry import spec
from kilonet.data.specs import DEFAULT_FORMAT, DataInfo, DatasetSpec, ImageFormat, Preparation
from kilonet.errors import DataError
from kilonet.files import data_cache
from kilonet.progress import Reporter

__all__ = ["Dataset", "DatasetNotFoundError", "is_available", "load_dataset"]


class DatasetNotFoundError(DataError):
    """The data set is not on this machine and could not be downloaded."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """All images and labels of a data set.

    Images are uint8, (N, C, H, W), 0–255; labels int64, (N,), 0 … ``num_classes`` − 1. ``mean``
    and ``std`` are of pixels divided by 255, one number per channel. ``source`` is where the data
    comes from. ``preparation`` is how a user's picture becomes such an image. ``fingerprint``
    identifies a folder's content; ``note`` is what a user should know about it.
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
    preparation: Preparation = "ink"
    fingerprint: str | None = None
    note: str | None = None

    @property
    def info(self) -> DataInfo:
        """What a trained network needs to know about the data."""
        shape = (self.channels, *self.image_size)
        moments = (self.mean, self.std)
        rest = (self.preparation, self.fingerprint)
        return DataInfo(self.name, self.title, shape, self.classes, *moments, *rest)

    def unnormalised(self) -> Dataset:
        """Return the data set with mean 0 and deviation 1: networks see pixels from 0 to 1."""
        return replace(self, mean=(0.0,) * self.channels, std=(1.0,) * self.channels)

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
        """The number of classes."""
        return len(self.classes)


def load_dataset(
    name: str,
    data_dir: str | Path | None = None,
    *,
    download: bool = True,
    reporter: Reporter | None = None,
    image_format: ImageFormat = DEFAULT_FORMAT,
) -> Dataset:
    """Find or download the data set ``name``, verify it, and return it.

    Searches ``data_dir`` (None: the directory in ``KILONET_DATA``), then the user's cache, then
    downloads to the cache unless ``download`` is False; ``reporter`` gets the progress. The name
    ``folder:PATH`` is a folder of pictures, which are scaled to ``image_format``.

    Raises:
        UsageError: the name or the path is unknown.
        DatasetNotFoundError: the files were not found and cannot be downloaded.
        DataError: the files are damaged or not the published ones.
    """
    if is_folder(name):
        return _of_folder(read_folder(folder_path(name), image_format, reporter))
    entry = spec(name)
    if not entry.files:
        return _dataset(entry, load_digits(), "scikit-learn")
    files = locate(entry, data_dir) or _obtain(entry, data_dir, download, reporter or Reporter())
    return _dataset(entry, read_files(entry, files), str(folder_of(files)))


def _obtain(
    entry: DatasetSpec, data_dir: str | Path | None, download: bool, reporter: Reporter
) -> Files:
    remedy = "Allow the download, or name the folder (--data-dir or KILONET_DATA)."
    cache = data_cache()
    if download and cache is None:
        remedy = "There is no home directory to download it to: set HOME, or KILONET_DATA."
    elif download and cache is not None:
        reporter.message(f"{entry.title} is not on this machine; downloading it.")
        try:
            fetch(entry, cache, reporter)
        except DownloadError as error:
            remedy = str(error)
    files = locate(entry, data_dir)
    if files is not None:
        return files
    looked = ", ".join(str(directory) for directory in search_path(data_dir)) or "any folder"
    lacking = incomplete(entry, data_dir)
    raise DatasetNotFoundError(f"{entry.title} is not in {looked}.{lacking} {remedy}")


def _dataset(entry: DatasetSpec, tensors: Tensors, source: str) -> Dataset:
    mean, std = entry.mean, entry.std
    if mean is None or std is None:
        mean, std = channel_statistics(tensors[0])
    return Dataset(
        entry.name, entry.title, *tensors, entry.classes, mean, std, source, entry.preparation
    )


def _of_folder(content: FolderContent) -> Dataset:
    return Dataset(
        content.name,
        content.title,
        *content.tensors,
        content.classes,
        *channel_statistics(content.tensors[0]),
        str(content.path),
        content.preparation,
        content.fingerprint,
        content.note,
    )


def read_files(entry: DatasetSpec, files: Files) -> Tensors:
    """Return images, uint8 (N, C, H, W), and labels, int64 (N,), of both splits.

    Raises:
        DataError: a file is damaged or not the published one.
    """
    read = _read_batches if entry.layout == "cifar" else _read_idx
    return *_tensors(*read(entry, files, "train")), *_tensors(*read(entry, files, "test"))


def _tensors(images: Bytes, labels: Bytes) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(images), torch.from_numpy(labels).long()


def _read_idx(entry: DatasetSpec, files: Files, split: str) -> tuple[Bytes, Bytes]:
    images_role, labels_role = f"{split}_images", f"{split}_labels"
    images = read_idx_images(files[images_role])
    check_published(files[images_role], images, entry, images_role)
    labels = read_idx_labels(files[labels_role], len(entry.classes))
    check_published(files[labels_role], labels, entry, labels_role)
    if entry.layout == "transposed":
        images = np.ascontiguousarray(images.swapaxes(1, 2))
    return images[:, None], labels


def _read_batches(entry: DatasetSpec, files: Files, split: str) -> tuple[Bytes, Bytes]:
    batches = []
    for role in (role for role in files if role.startswith(split)):
        batches.append(read_records(files[role], entry.shape, len(entry.classes)))
        check_bytes(files[role], batches[-1].tobytes(), entry, role)
    records = np.concatenate(batches)
    check_count(next(iter(files.values())), len(records), entry, split)
    return images_of(records, entry.shape), records[:, 0].copy()
