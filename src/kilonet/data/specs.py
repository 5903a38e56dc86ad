"""The form of what is known about a data set: its files, where they are, how they are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

TRAIN_IMAGES = "train_images"
TRAIN_LABELS = "train_labels"
TEST_IMAGES = "test_images"
TEST_LABELS = "test_labels"

DIGITS = tuple("0123456789")

Preparation = Literal["ink", "fit"]
"""How a picture from outside becomes one of a set's: its ink framed as MNIST's, or scaled whole."""


@dataclass(frozen=True)
class Look:
    """What pictures of a folder are scaled to: squares of ``side`` pixels, in colour or grey."""

    side: int = 32
    colour: bool = True

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return (3 if self.colour else 1, self.side, self.side)


USUAL_LOOK = Look()


@dataclass(frozen=True)
class FileSpec:
    """One published file, or one within a published archive.

    ``filename`` is its name, for a member of an archive its path in there; ``md5`` is that of the
    file as it is published, and None within an archive, which has one of its own; ``sha256`` that
    of the decompressed bytes, or None where it is not known.
    """

    filename: str
    md5: str | None
    sha256: str | None

    @property
    def unpacked_name(self) -> str:
        """The name without ``.gz``."""
        return self.filename.removesuffix(".gz")

    @property
    def names(self) -> tuple[str, ...]:
        """What the file may be called in a folder: with or without its path, packed or not."""
        paths = (self.filename, self.unpacked_name)
        return tuple(dict.fromkeys([*paths, *(path.rpartition("/")[2] for path in paths)]))


@dataclass(frozen=True)
class DatasetSpec:
    """One data set.

    ``files`` has one entry per role and is empty for a set that is read from no files of ours. In
    the layout "idx" the roles are ``train_images``, ``train_labels``, ``test_images`` and
    ``test_labels``; in "transposed" too, but x and y of the images are exchanged; in "cifar" they
    are ``train_1`` … and ``test``. ``archive`` is the one file that is published where it holds all
    of these. ``mean`` and ``std`` are those of the training images divided by 255, one number per
    channel; None where nobody publishes them: they are then computed when the set is read.
    ``mirrors`` are base URLs ending in ``/``, tried in order. ``folder`` and ``torchvision_folder``
    are the names of the set's folder in our layout and in torchvision's.
    """

    name: str
    title: str
    train_count: int
    test_count: int
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None
    classes: tuple[str, ...]
    licence: str
    homepage: str
    folder: str
    torchvision_folder: str = ""
    files: Mapping[str, FileSpec] = field(default_factory=dict)
    mirrors: tuple[str, ...] = ()
    shape: tuple[int, int, int] = (1, 28, 28)
    """(C, H, W) of an image."""
    layout: Literal["idx", "transposed", "cifar"] = "idx"
    archive: FileSpec | None = None
    preparation: Preparation = "ink"

    @property
    def downloads(self) -> tuple[FileSpec, ...]:
        """The files to fetch: the archive, or each file by itself."""
        return (self.archive,) if self.archive else tuple(self.files.values())


def idx_files(
    checksums: Mapping[str, tuple[str | None, str | None]],
    begins: tuple[str, str] = ("train", "t10k"),
) -> dict[str, FileSpec]:
    """Return the four files of MNIST's layout; ``begins`` are the beginnings of their names."""
    train, test = begins
    names = {
        TRAIN_IMAGES: f"{train}-images-idx3-ubyte.gz",
        TRAIN_LABELS: f"{train}-labels-idx1-ubyte.gz",
        TEST_IMAGES: f"{test}-images-idx3-ubyte.gz",
        TEST_LABELS: f"{test}-labels-idx1-ubyte.gz",
    }
    return {role: FileSpec(name, *checksums[role]) for role, name in names.items()}
