"""IDX files, the format MNIST is published in: read, and verified before anything uses them.

Layout (https://yann.lecun.com/exdb/mnist/): two zero bytes, a type code (8: unsigned byte), the
number of dimensions, each dimension as a big-endian uint32, then the values in row-major order.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from kilonet.errors import DataError

IMAGE_SIDE = 28
_UNSIGNED_BYTE = 8
_GZIP_MAGIC = b"\x1f\x8b"
# No published set of this family is near it; a header that asks for more is damaged.
_LARGEST_PAYLOAD = 2**31
_REMEDY = "Delete the file and fetch it again: kilonet data fetch, or see kilonet data --help."


def read_idx_images(path: Path, sha256: str | None = None) -> NDArray[np.uint8]:
    """Return the images of an IDX file, plain or gzip-compressed: uint8, (N, 28, 28), N ≥ 1.

    ``sha256`` is the expected digest of the decompressed file; None skips that check. Raises
    ``DataError`` where the file cannot be read, is not an IDX file of 28×28 images, is shorter or
    longer than its header says, or has another digest.
    """
    images = _read(path, dimensions=3, sha256=sha256)
    if images.shape[1:] != (IMAGE_SIDE, IMAGE_SIDE):
        found = "×".join(map(str, images.shape[1:]))
        raise _damaged(path, f"its images are {found} pixels; expected {IMAGE_SIDE}×{IMAGE_SIDE}")
    return images


def read_idx_labels(
    path: Path, classes: int = 10, sha256: str | None = None
) -> NDArray[np.uint8]:
    """Return the labels of an IDX file, plain or gzip-compressed: uint8, (N,), N ≥ 1.

    Raises ``DataError`` as ``read_idx_images`` does, and for a label that is not in
    0 … ``classes`` − 1.
    """
    labels = _read(path, dimensions=1, sha256=sha256)
    if labels.max() >= classes:
        raise _damaged(path, f"it holds the label {labels.max()}; expected 0 to {classes - 1}")
    return labels


def _read(path: Path, dimensions: int, sha256: str | None) -> NDArray[np.uint8]:
    try:
        with path.open("rb") as raw:
            compressed = raw.read(2) == _GZIP_MAGIC
            raw.seek(0)
            if not compressed:
                return _parse(path, raw, dimensions, sha256)
            with gzip.GzipFile(fileobj=raw) as unpacked:
                return _parse(path, unpacked, dimensions, sha256)  # type: ignore[arg-type]
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _damaged(path, f"it does not decompress ({error})") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error


def _parse(path: Path, file: BinaryIO, dimensions: int, sha256: str | None) -> NDArray[np.uint8]:
    header, shape = _read_header(path, file, dimensions)
    expected = math.prod(shape)
    payload = file.read(expected + 1)
    if len(payload) != expected:
        found = f"{len(payload):,}" if len(payload) < expected else "more"
        raise _damaged(path, f"its header announces {expected:,} bytes of data; found {found}")
    _check_digest(path, header, payload, sha256)
    return np.frombuffer(payload, np.uint8).reshape(shape).copy()


def _read_header(path: Path, file: BinaryIO, dimensions: int) -> tuple[bytes, tuple[int, ...]]:
    header = file.read(4 + 4 * dimensions)
    if header[:3] != bytes([0, 0, _UNSIGNED_BYTE]):
        raise _damaged(path, f"it is not an IDX file of bytes (it begins with {header[:4].hex()})")
    if header[3:4] != bytes([dimensions]):
        kind = "images" if dimensions == 3 else "labels"
        raise _damaged(path, f"it has {header[3:4].hex()} dimensions; {kind} have {dimensions}")
    if len(header) < 4 + 4 * dimensions:
        raise _damaged(path, "it ends within its header")
    shape = struct.unpack(f">{dimensions}I", header[4:])
    if not 0 < math.prod(shape) <= _LARGEST_PAYLOAD:
        raise _damaged(path, f"its header announces the shape {shape}")
    return header, shape


def _check_digest(path: Path, header: bytes, payload: bytes, sha256: str | None) -> None:
    if sha256 is None:
        return
    digest = hashlib.sha256(header)
    digest.update(payload)
    if digest.hexdigest() != sha256:
        raise _damaged(
            path,
            f"its content is not the published one (SHA-256 {digest.hexdigest()[:12]}…; "
            f"expected {sha256[:12]}…)",
        )


def _damaged(path: Path, what: str) -> DataError:
    return DataError(f"{path} is damaged or not what its name says: {what}. {_REMEDY}")
