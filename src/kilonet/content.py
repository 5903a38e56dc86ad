"""Read files that may come from anyone within limits, and find damage with checksums.

A file is read only if it is a regular file of a limited size: a pipe would be waited for, and a
file of zeros may have any size. The checksum of a stored network is inside its file, as the value
of a metadata entry, so that the file can be copied alone. Files of earlier versions have none.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
from pathlib import Path

MAX_TEXT = 2**26
"""The most bytes that are read from a JSON, CSV or TOML file."""
MAX_PICTURE = 2**28
"""The most bytes that are read from a picture."""
MAX_FILE = 2**31 - 1
"""The most bytes that are read from any other file; ONNX files cannot be larger."""

CHECKSUM_KEY = "checksum"
NO_CHECKSUM = f"kilonet-sha256:{'0' * 64}"
"""The value of the metadata entry until ``with_checksum`` replaces it."""
_MARK = re.compile(rb"kilonet-sha256:(.{64})", re.DOTALL)


def read_content(path: str | os.PathLike[str], limit: int = MAX_FILE) -> bytes:
    """Return the content of the regular file ``path``."""
    with open(path, "rb", opener=_open_without_waiting) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is a pipe or a device, not a file")
        content = file.read(limit + 1) if status.st_size <= limit else b""
        if status.st_size > limit or len(content) > limit:
            raise OSError(errno.EFBIG, f"it has more than {limit:,} bytes")
        return content


def read_text_file(path: Path, encoding: str = "utf-8") -> str:
    """Return the text in the regular file ``path``, with line ends as ``"\\n"``.

    Raises:
        OSError: see ``read_content``; the limit is ``MAX_TEXT``.
        UnicodeDecodeError: it is not in ``encoding``.
    """
    text = read_content(path, MAX_TEXT).decode(encoding)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def with_checksum(content: bytes) -> bytes:
    """Return ``content``, which has ``NO_CHECKSUM``, with its checksum in that place."""
    empty = NO_CHECKSUM.encode("ascii")
    return content.replace(empty, empty[:-64] + _digest(content), 1)


def is_intact(content: bytes) -> bool:
    """Return whether the checksum in ``content`` fits, or there is none."""
    mark = _MARK.search(content)
    if mark is None:
        return True
    empty = NO_CHECKSUM.encode("ascii")
    return mark[1] == _digest(content[: mark.start()] + empty + content[mark.end() :])


def file_checksum(path: Path) -> str:
    """Return the SHA-256 of the file ``path`` in hexadecimal digits.

    Line ends count as one character, because version control may change those of a text.

    Raises:
        OSError: see ``read_content``.
    """
    content = read_content(path)
    if b"\0" not in content:
        content = content.replace(b"\r\n", b"\n")
    return _digest(content).decode("ascii")


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode("ascii")
