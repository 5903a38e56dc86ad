"""Descriptions of data sets: published files, image format, classes, statistics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

TEST_LABELS = "test_labels"  # a role of a file

DIGITS = tuple("0123456789")

Preparation = Literal["ink", "fit"]
"""How a user's picture becomes an image: "ink" frames its ink like MNIST, "fit" scales it."""


@dataclass(frozen=True)
class ImageFormat:
    """The format of a folder's pictures: ``side`` × ``side`` pixels, in colour or grey."""

    side: int = 32
    colour: bool = True
    preparation: Preparation = "fit"

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return (3 if self.colour else 1, self.side, self.side)


DEFAULT_FORMAT = ImageFormat()
INK_FORMAT = ImageFormat(28, colour=False, preparation="ink")


@dataclass(frozen=True)
class FileSpec:
    """One published file, or one file in a published archive.

    ``filename`` is the file's name, or its path in the archive. ``md5`` is the checksum of the
    published file; None in an archive, which has its own. ``sha256`` is the checksum of the
    decompressed bytes; None if unknown.
    """

    filename: str
    md5: str | None = None
    sha256: str | None = None

    @property
    def unpacked_name(self) -> str:
        """The name without ``.gz``."""
        return self.filename.removesuffix(".gz")

    @property
    def names(self) -> tuple[str, ...]:
        """The names that the file may have in a folder: with or without its path and ``.gz``."""
        paths = (self.filename, self.unpacked_name)
        return tuple(dict.fromkeys([*paths, *(path.rpartition("/")[2] for path in paths)]))


@dataclass(frozen=True)
class DatasetSpec:
    """One data set.

    ``files`` has one entry per role; it is empty for a set from scikit-learn. In the layout "idx"
    the roles are ``train_images``, ``train_labels``, ``test_images`` and ``test_labels``. The
    layout "transposed" has the same roles, but the images' x and y are exchanged. In "cifar" the
    roles are ``train_1`` … and ``test``. ``archive`` is the published file if it contains all of
    these. ``mean`` and ``std`` are of the training images divided by 255, one number per channel;
    None if they are not published: they are then computed from the images. ``mirrors`` are base
    URLs ending in ``/``, tried in order. ``folder`` and ``torchvision_folder`` are the names of the
    set's folder in the layouts of Kilonet and torchvision.
    """

    name: str
    title: str
    train_count: int
    test_count: int
    licence: str
    homepage: str
    folder: str
    classes: tuple[str, ...] = DIGITS
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
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
        """The files to download: the archive, or the single files."""
        return (self.archive,) if self.archive else tuple(self.files.values())


@dataclass(frozen=True)
class DataInfo:
    """What a trained network needs to know about its data: shape (C, H, W), classes, statistics.

    ``fingerprint`` identifies a folder's content, so that a change is noticed; None for a published
    set, which has checksums.
    """

    name: str
    title: str
    shape: tuple[int, int, int]
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    preparation: Preparation = "ink"
    fingerprint: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the fields by name for ``json.dump``."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> DataInfo:
        """Return the object that ``to_json`` wrote."""
        return cls(**{key: _tuple(value) for key, value in values.items()})

    @classmethod
    def of_published(cls, entry: DatasetSpec) -> DataInfo:
        """Return the information of a registered set whose statistics are in the registry."""
        ones = (1.0,) * entry.shape[0]
        return cls(
            entry.name,
            entry.title,
            entry.shape,
            entry.classes,
            entry.mean or (0.0,) * entry.shape[0],
            entry.std or ones,
            entry.preparation,
        )


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
