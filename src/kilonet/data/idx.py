"""IDX files, the format MNIST is published in: read, with everything they claim checked.

Layout (https://yann.lecun.com/exdb/mnist/): two zero bytes, a type code (8: unsigned byte), the
number of dimensions, each dimension as a big-endian uint32, then the values in row-major order.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kilonet.data.members import Location, damaged
from kilonet.errors import DataError

IMAGE_SIDE = 28
_UNSIGNED_BYTE = 8
_GZIP_MAGIC = b"\x1f\x8b"
# No published set of this family is near it; a header that announces more is damaged.
_LARGEST_PAYLOAD = 2**28

_CONTENTS = {1: "labels", 3: "images"}


class _Readable(Protocol):
    """What a plain and a gzip file have in common here."""

    def read(self, size: int, /) -> bytes: ...


def read_idx_images(path: Location) -> NDArray[np.uint8]:
    """Return the images of an IDX file, plain or gzip-compressed: uint8, (N, 28, 28), N ≥ 1.

    Raises ``DataError`` where the file cannot be read, does not decompress, is not an IDX file of
    28×28 images, or is shorter or longer than its header announces.
    """
    images = _read(path, dimensions=3)
    if images.shape[1:] != (IMAGE_SIDE, IMAGE_SIDE):
        height, width = images.shape[1:]
        raise damaged(path, f"its images are {height}×{width} pixels; expected 28×28")
    return images


def read_idx_labels(path: Location, classes: int = 10) -> NDArray[np.uint8]:
    """Return the labels of an IDX file, plain or gzip-compressed: uint8, (N,), N ≥ 1.

    Raises ``DataError`` as ``read_idx_images`` does, and for a label outside 0 … ``classes`` − 1.
    """
    labels = _read(path, dimensions=1)
    if labels.max() >= classes:
        raise damaged(path, f"it holds the label {labels.max()}; expected 0 to {classes - 1}")
    return labels


def idx_header(shape: tuple[int, ...]) -> bytes:
    """Return the bytes that precede the values of a uint8 array of this shape."""
    magic = bytes([0, 0, _UNSIGNED_BYTE, len(shape)])
    return magic + struct.pack(f">{len(shape)}I", *shape)


def _read(path: Location, dimensions: int) -> NDArray[np.uint8]:
    try:
        # Both layers stay open while parsing; what decides is the content, not the name.
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
        raise DataError(
            f"{path} cannot be read ({error.strerror or error}); expected a readable IDX file. "
            "Check the path and its permissions."
        ) from error


def _parse(path: Location, file: _Readable, dimensions: int) -> NDArray[np.uint8]:
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
    if not 0 < math.prod(shape) <= _LARGEST_PAYLOAD:
        raise damaged(path, f"its header announces the shape {shape}")
    return shape
