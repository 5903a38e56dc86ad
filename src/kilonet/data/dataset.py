"""A data set in memory: four tensors and what their numbers mean."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from kilonet import paths
from kilonet.data.digits import load_digits
from kilonet.data.download import DownloadError
from kilonet.data.download import download as fetch
from kilonet.data.locate import Files, folder_of, incomplete, is_available, locate, search_path
from kilonet.data.normalise import channel_statistics
from kilonet.data.read import Tensors, read_files
from kilonet.data.registry import DatasetSpec, spec
from kilonet.errors import DataError

__all__ = ["Dataset", "DatasetNotFoundError", "is_available", "load_dataset"]


class DatasetNotFoundError(DataError):
    """The data set is nowhere on this machine and could not be fetched: a reason to fall back."""


@dataclass(frozen=True, eq=False)
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
    Raises ``UsageError`` for an unknown name, ``DatasetNotFoundError`` where the files are nowhere
    and cannot be fetched, and ``DataError`` where they are damaged or not the published ones.
    """
    entry = spec(name)
    if not entry.files:
        return _dataset(entry, load_digits(), "scikit-learn")
    files = locate(entry, data_dir) or _obtain(entry, data_dir, download, progress)
    return _dataset(entry, read_files(entry, files), str(folder_of(files)))


def _obtain(entry: DatasetSpec, data_dir: Path | None, download: bool, progress: bool) -> Files:
    remedy = "Allow the download, or name the folder (--data-dir or KILONET_DATA)."
    if download:
        try:
            fetch(entry, paths.data_cache(), progress)
        except DownloadError as error:
            remedy = str(error)
    files = locate(entry, data_dir)
    if files is not None:
        return files
    looked = ", ".join(str(directory) for directory in search_path(data_dir))
    lacking = incomplete(entry, data_dir)
    raise DatasetNotFoundError(f"{entry.title} is not in {looked}.{lacking} {remedy}")


def _dataset(entry: DatasetSpec, tensors: Tensors, source: str) -> Dataset:
    mean, std = entry.mean, entry.std
    if mean is None or std is None:
        mean, std = channel_statistics(tensors[0])
    return Dataset(entry.name, entry.title, *tensors, entry.classes, mean, std, source)
