"""A file within a zip or tar archive, read where it is: nothing is unpacked to disk."""

from __future__ import annotations

import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from kilonet.errors import DataError

_BROKEN = (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, KeyError)


@dataclass(frozen=True)
class Member:
    """The file ``name`` in ``archive``; it opens as a path does, and messages can name it."""

    archive: Path
    name: str

    def __str__(self) -> str:
        """The archive and the path in it."""
        return f"{self.archive}:{self.name}"

    @property
    def parent(self) -> Path:
        """The folder that the archive is in."""
        return self.archive.parent

    @contextmanager
    def open(self, _mode: str = "rb") -> Iterator[IO[bytes]]:
        """Open it for reading bytes.

        Raises:
            DataError: the archive is damaged, or has no such file.
        """
        try:
            if self.archive.suffix == ".zip":
                with zipfile.ZipFile(self.archive) as packed, packed.open(self.name) as file:
                    yield file
            else:
                with tarfile.open(self.archive) as bundle:
                    inside = bundle.extractfile(self.name)
                    if inside is None:
                        raise KeyError("it is no file")
                    with inside:
                        yield inside
        except _BROKEN as error:
            reason = str(error).strip("'\"") or type(error).__name__
            raise damaged(self.archive, f"{self.name} cannot be read from it ({reason})") from error


Location = Path | Member


def damaged(path: Location, what: str) -> DataError:
    """Return the error for a file whose content is wrong, with the way out."""
    return DataError(
        f"{path} is damaged or not what its name says: {what}. Delete it and run again to fetch "
        "it anew, or name a folder that holds the published files (--data-dir or KILONET_DATA)."
    )
