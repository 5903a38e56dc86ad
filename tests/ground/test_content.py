"""Files from outside: what is read of them, and how damage is found."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from kilonet.content import (
    MAX_FILE,
    NO_CHECKSUM,
    file_checksum,
    is_intact,
    read_content,
    read_text_file,
    with_checksum,
)


def unusual(kind: str, folder: Path) -> Path:
    path = folder / "file"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "sparse":
        path.touch()
        os.truncate(path, MAX_FILE + 1)
    elif kind == "link to itself":
        path.symlink_to(path)
    elif kind == "folder":
        path.mkdir()
    return path


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("pipe", "a pipe or a device"),
        ("device", "a pipe or a device"),
        ("sparse", "has more than 2,147,483,647 bytes"),
        ("link to itself", "symbolic links"),
        ("folder", "directory"),
        ("absent", "No such file"),
    ],
)
def test_only_regular_files_of_limited_size_are_read(
    tmp_path: Path, kind: str, message: str
) -> None:
    with pytest.raises(OSError, match=message):
        read_content(unusual(kind, tmp_path))


def test_the_limit_is_inclusive(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    assert read_content(tmp_path / "file", 5) == b"12345"
    with pytest.raises(OSError, match="more than 4 bytes"):
        read_content(tmp_path / "file", 4)


def test_a_file_without_a_size_is_limited_too() -> None:
    if not Path("/proc/self/maps").exists():
        pytest.skip("the system has no /proc")
    with pytest.raises(OSError, match="more than 10 bytes"):
        read_content("/proc/self/maps", 10)


def test_line_ends_of_texts(tmp_path: Path) -> None:
    (tmp_path / "unix").write_bytes(b"a\nb\n")
    (tmp_path / "windows").write_bytes(b"a\r\nb\r\n")
    assert read_text_file(tmp_path / "windows") == "a\nb\n"
    assert file_checksum(tmp_path / "windows") == file_checksum(tmp_path / "unix")


def test_every_flipped_bit_is_found_or_harmless() -> None:
    rest = random.Random(0).randbytes(60)
    content = with_checksum(b"begin" + NO_CHECKSUM.encode() + rest)
    assert is_intact(content)
    mark = content.index(b"kilonet-sha256:")
    for position in range(len(content)):
        for bit in range(8):
            damaged = bytearray(content)
            damaged[position] ^= 1 << bit
            in_name = mark <= position < mark + len(b"kilonet-sha256:")
            assert is_intact(bytes(damaged)) == in_name  # then there is no checksum


def test_content_without_a_checksum_counts_as_intact() -> None:
    assert is_intact(b"written by an earlier version")
