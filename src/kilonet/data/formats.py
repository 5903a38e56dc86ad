"""File formats of published data sets: IDX, CIFAR-10 batches, and files in zip and tar archives.

IDX (https://yann.lecun.com/exdb/mnist/): two zero bytes, a type code (8: unsigned byte), the number
of dimensions, each dimension as a big-endian uint32, then the values in row-major order. CIFAR-10's
binary batches (https://www.cs.toronto.edu/~kriz/cifar.html): a byte of label and 3,072 of pixels
per image.
"""

from __future__ import annotations

import gzip
import math
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from kilonet.errors import DataError

Bytes: TypeAlias = npt.NDArray[np.uint8]

IMAGE_SIDE = 28
_UNSIGNED_BYTE = 8
_GZIP_MAGIC = b"\x1f\x8b"
# Larger than any published set of this family: a header with more is damaged.
_MAX_PAYLOAD = 2**28
_MAX_UNPACKED = 2**29
_CONTENTS = {1: "labels", 3: "images"}
_ARCHIVE_ERRORS = (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, KeyError)


@dataclass(frozen=True)
class ArchiveMember:
    """The file ``name`` in a zip or tar ``archive``; it opens like a path and is never unpacked."""

    archive: Path
    name: str

    def __str__(self) -> str:
        """Return the archive and the path in it."""
        return f"{self.archive}:{self.name}"

    @property
    def parent(self) -> Path:
        """The archive's folder."""
        return self.archive.parent

    @contextmanager
    def open(self, _mode: str = "rb") -> Iterator[IO[bytes]]:
        """Open the file to read bytes.

        Raises:
            DataError: the archive is damaged, or does not contain the file.
        """
        try:
            if self.archive.suffix == ".zip":
                with zipfile.ZipFile(self.archive) as packed, packed.open(self.name) as file:
                    yield file
            else:
                with gzip.open(self.archive) as unpacked:
                    limited = _LimitedReader(unpacked)
                    with tarfile.open(fileobj=limited, mode="r|") as bundle:  # type: ignore[call-overload]
                        yield _member(bundle, self.name)
        except _ARCHIVE_ERRORS as error:
            reason = str(error).strip("'\"") or type(error).__name__
            raise damaged(self.archive, f"{self.name} cannot be read from it ({reason})") from error


class _LimitedReader:
    """A file of which ``_MAX_UNPACKED`` bytes can be read: an archive may unpack to any size.

    Raises:
        tarfile.ReadError: it is longer.
    """

    def __init__(self, file: _Readable) -> None:
        self._file = file
        self._left = _MAX_UNPACKED

    def read(self, size: int) -> bytes:
        """Return up to ``size`` bytes."""
        self._left -= size
        if self._left < 0:
            raise tarfile.ReadError(f"it unpacks to more than {_MAX_UNPACKED:,} bytes")
        return self._file.read(size)


def _member(bundle: tarfile.TarFile, name: str) -> IO[bytes]:
    """Return the file ``name`` of an archive that is read from its beginning to its end."""
    for member in bundle:
        if member.size > _MAX_PAYLOAD:
            raise tarfile.ReadError(f"{member.name} has {member.size:,} bytes")
        if member.name == name:
            file = bundle.extractfile(member) if member.isfile() else None
            if file is None:
                break
            return file
    raise KeyError(f"there is no file {name}")


Location = Path | ArchiveMember


def damaged(path: Location, what: str) -> DataError:
    """Return the error for a file with wrong content; its message says what to do."""
    return DataError(
        f"{path} is damaged or not what its name says: {what}. Delete it and run again to fetch "
        "it again, or name a folder that holds the published files (--data-dir or KILONET_DATA)."
    )


def _unreadable(path: Location, error: OSError, expected: str) -> DataError:
    return DataError(
        f"{path} cannot be read ({error.strerror or error}); expected {expected}. "
        "Check the path and its permissions."
    )


class _Readable(Protocol):
    """A plain or a gzip file."""

    def read(self, size: int, /) -> bytes: ...


def read_idx_images(path: Location) -> Bytes:
    """Return the images of an IDX file, plain or gzip-compressed: uint8, (N, 28, 28), N ≥ 1.

    Raises:
        DataError: the file cannot be read or decompressed, is not an IDX file of 28×28 images, or
            does not have the length in its header.
    """
    images = _read(path, dimensions=3)
    if images.shape[1:] != (IMAGE_SIDE, IMAGE_SIDE):
        height, width = images.shape[1:]
        raise damaged(path, f"its images are {height}×{width} pixels; expected 28×28")
    return images


def read_idx_labels(path: Location, classes: int = 10) -> Bytes:
    """Return the labels of an IDX file, plain or gzip-compressed: uint8, (N,), N ≥ 1.

    Raises:
        DataError: as in ``read_idx_images``, or a label is not in 0 … ``classes`` − 1.
    """
    labels = _read(path, dimensions=1)
    if labels.max() >= classes:
        raise damaged(path, f"it holds the label {labels.max()}; expected 0 to {classes - 1}")
    return labels


def idx_header(shape: tuple[int, ...]) -> bytes:
    """Return the IDX header of a uint8 array of this shape."""
    magic = bytes([0, 0, _UNSIGNED_BYTE, len(shape)])
    return magic + struct.pack(f">{len(shape)}I", *shape)


def _read(path: Location, dimensions: int) -> Bytes:
    try:
        # The content decides whether the file is compressed, not its name.
        with path.open("rb") as raw:
            compressed = raw.read(2) == _GZIP_MAGIC
            raw.seek(0)
            if not compressed:
                return _parse(path, raw, dimensions)
            with gzip.GzipFile(fileobj=raw) as unpacked:
                return _parse(path, unpacked, dimensions)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise damaged(path, f"it does not decompress ({error})") from error
    except OSError as error:
        raise _unreadable(path, error, "an IDX file") from error


def _parse(path: Location, file: _Readable, dimensions: int) -> Bytes:
    shape = _read_shape(path, file.read(4 + 4 * dimensions), dimensions)
    expected = math.prod(shape)
    values = file.read(expected + 1)
    if len(values) != expected:
        found = f"only {len(values):,}" if len(values) < expected else "more"
        raise damaged(path, f"its header announces {expected:,} bytes of values; it has {found}")
    return np.frombuffer(values, np.uint8).reshape(shape).copy()


def _read_shape(path: Location, header: bytes, dimensions: int) -> tuple[int, ...]:
    wanted = f"IDX {_CONTENTS[dimensions]}"
    if len(header) < 4 or header[:3] != bytes([0, 0, _UNSIGNED_BYTE]):
        raise damaged(path, f"it begins with {header[:4].hex(' ') or 'nothing'}; expected {wanted}")
    if header[3] != dimensions:
        found = _CONTENTS.get(header[3], f"an array of {header[3]} dimensions")
        raise damaged(path, f"it holds {found}; expected {wanted}")
    if len(header) < 4 + 4 * dimensions:
        raise damaged(path, "it ends within its header")
    shape = struct.unpack(f">{dimensions}I", header[4:])
    if not 0 < math.prod(shape) <= _MAX_PAYLOAD:
        raise damaged(path, f"its header announces the shape {shape}")
    return shape


def read_records(path: Location, shape: tuple[int, int, int], classes: int) -> Bytes:
    """Return the records of a CIFAR-10 batch, label and pixels: uint8, (N, 1 + C·H·W), N ≥ 1.

    Raises:
        DataError: the file cannot be read, its size is not a whole number of records, or a label is
            not in 0 … ``classes`` − 1.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_PAYLOAD + 1)
    except OSError as error:
        raise _unreadable(path, error, "a batch of CIFAR-10") from error
    if len(content) > _MAX_PAYLOAD:
        raise damaged(path, f"it has more than {_MAX_PAYLOAD:,} bytes")
    length = 1 + int(np.prod(shape))
    if not content or len(content) % length:
        raise damaged(path, f"it has {len(content):,} bytes; expected a multiple of {length:,}")
    records = np.frombuffer(content, np.uint8).reshape(-1, length)
    if (largest := int(records[:, 0].max())) >= classes:
        raise damaged(path, f"it holds the label {largest}; expected 0 to {classes - 1}")
    return records


def images_of(records: Bytes, shape: tuple[int, int, int]) -> Bytes:
    """Return the images in CIFAR-10 records: uint8, (N, C, H, W), red, green, blue."""
    return records[:, 1:].reshape(-1, *shape).copy()
