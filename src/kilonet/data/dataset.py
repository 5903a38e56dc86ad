"""A data set in memory: four tensors and what their numbers mean."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from kilonet.data.digits import load_digits
from kilonet.data.download import DownloadError
from kilonet.data.download import download as fetch
from kilonet.data.folder import folder_path, is_folder
from kilonet.data.locate import Files, folder_of, incomplete, is_available, locate, search_path
from kilonet.data.normalise import channel_statistics
from kilonet.data.read import Tensors, read_files
from kilonet.data.read_folder import FolderContent, read_folder
from kilonet.data.registry import DatasetSpec, spec
from kilonet.data.specs import USUAL_LOOK, Look, Preparation
from kilonet.data.traits import Traits
from kilonet.errors import DataError
from kilonet.files import data_cache
from kilonet.progress import Reporter, Silent

__all__ = ["Dataset", "DatasetNotFoundError", "is_available", "load_dataset"]


class DatasetNotFoundError(DataError):
    """The data set is nowhere on this machine and could not be fetched: a reason to fall back."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """All images and labels of a data set.

    Images are uint8, (N, C, H, W), 0–255; labels int64, (N,), 0 … ``num_classes`` − 1. ``mean``
    and ``std`` are those of pixels divided by 255, one per channel. ``source`` says where the
    data was found. ``preparation`` is how pictures from outside become such images. ``fingerprint``
    is that of a folder's content, ``note`` what a user must know of it.
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
    def traits(self) -> Traits:
        """What to know of it without having it."""
        shape = (self.channels, *self.image_size)
        moments = (self.mean, self.std)
        rest = (self.preparation, self.fingerprint)
        return Traits(self.name, self.title, shape, self.classes, *moments, *rest)

    def unnormalised(self) -> Dataset:
        """Return it with a mean of 0 and a deviation of 1: networks see pixels from 0 to 1."""
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
        """How many classes there are."""
        return len(self.classes)


def load_dataset(
    name: str,
    data_dir: Path | None = None,
    *,
    download: bool = True,
    reporter: Reporter | None = None,
    look: Look = USUAL_LOOK,
) -> Dataset:
    """Find, or else fetch, the data set ``name``, verify it, and return it.

    Looks in ``data_dir`` (None: the directory that ``KILONET_DATA`` names), then in the user's
    cache, then downloads to the cache unless ``download`` is False; ``reporter`` gets the
    progress. The name ``folder:PATH`` stands for a folder of pictures, which are brought to
    ``look``.

    Raises:
        UsageError: the name or the path is unknown.
        DatasetNotFoundError: the files are nowhere and cannot be fetched.
        DataError: they are damaged or not the published ones.
    """
    if is_folder(name):
        return _of_folder(read_folder(folder_path(name), look, reporter))
    entry = spec(name)
    if not entry.files:
        return _dataset(entry, load_digits(), "scikit-learn")
    files = locate(entry, data_dir) or _obtain(entry, data_dir, download, reporter or Silent())
    return _dataset(entry, read_files(entry, files), str(folder_of(files)))


def _obtain(entry: DatasetSpec, data_dir: Path | None, download: bool, reporter: Reporter) -> Files:
    remedy = "Allow the download, or name the folder (--data-dir or KILONET_DATA)."
    if download:
        reporter.message(f"{entry.title} is not on this machine; downloading it.")
        try:
            fetch(entry, data_cache(), reporter)
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
        "fit",
        content.fingerprint,
        content.note,
    )
