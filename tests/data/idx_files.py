"""IDX files for tests, written independently of the reader, and a small data set of them."""

from __future__ import annotations

import gzip
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kilonet.data.specs import DatasetSpec


def idx_bytes(values: NDArray[np.uint8]) -> bytes:
    """Write the format from its description, independently of the reader."""
    shape = b"".join(n.to_bytes(4, "big") for n in values.shape)
    return b"\x00\x00\x08" + bytes([values.ndim]) + shape + values.tobytes()


@dataclass(frozen=True)
class TinySet:
    """The registered entry, a folder ``home`` that holds ``tiny/…gz``, and the true arrays."""

    entry: DatasetSpec
    home: Path
    arrays: dict[str, NDArray[np.uint8]]

    def place(self, folder: Path, packed: bool = True) -> None:
        """Copy the four files to ``folder``, unpacked if asked."""
        folder.mkdir(parents=True, exist_ok=True)
        for file in self.entry.files.values():
            source = self.home / self.entry.folder / file.filename
            if packed:
                shutil.copy(source, folder)
            else:
                (folder / file.unpacked_name).write_bytes(gzip.decompress(source.read_bytes()))
