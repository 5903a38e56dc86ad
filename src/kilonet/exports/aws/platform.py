"""Which Lambda runtime an archive made here is for, and whether it can run there."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import distribution

from kilonet.exports.aws.archive import DISTRIBUTIONS

Version = tuple[int, int]

AMAZON_LINUX_2: Version = (2, 26)
AMAZON_LINUX_2023: Version = (2, 34)
"""The C libraries of Lambda's Python runtimes, to 3.11 and from 3.12 (AWS, "Lambda runtimes")."""

ARCHITECTURES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}
TAG = re.compile(r"^Tag: .*manylinux_(\d+)_(\d+)_", re.MULTILINE)


@dataclass(frozen=True)
class Platform:
    """What compiled packages here are made for."""

    system: str
    architecture: str
    python: Version

    @property
    def runtime(self) -> str:
        """What Lambda calls the runtime."""
        return f"python{self.python[0]}.{self.python[1]}"

    def __str__(self) -> str:
        return f"{self.system} {self.architecture}, Python {self.python[0]}.{self.python[1]}"


def this_platform() -> Platform:
    """Return the platform of the running interpreter."""
    machine = platform.machine().lower()
    architecture = ARCHITECTURES.get(machine, machine)
    return Platform(platform.system(), architecture, sys.version_info[:2])


def remark(here: Platform, needed: Version) -> str:
    """Return what must be known of an archive made ``here`` of packages for glibc ``needed``."""
    said = f"the archive is for {here}, as the packages here are"
    if here.system != "Linux":
        return f"{said}: it will not run on Lambda, which is Linux. Export on Linux"
    has = AMAZON_LINUX_2 if here.python < (3, 12) else AMAZON_LINUX_2023
    if needed > has:
        return (
            f"{said}: it will not run on Lambda's {here.runtime}, whose C library is glibc "
            f"{_words(has)}, while a package needs {_words(needed)}. "
            "Export with Python 3.12 or later"
        )
    return f"{said}: Lambda's runtime {here.runtime}"


def needed_glibc() -> Version:
    """Return the oldest glibc that all compiled packages of the archive run with, by their tags."""
    texts = (distribution(name).read_text("WHEEL") or "" for name in DISTRIBUTIONS)
    return oldest(texts)


def oldest(wheels: Iterable[str]) -> Version:
    """Return the same of WHEEL files: each one's least tag, the greatest of those (PEP 600)."""
    found = [
        min((int(major), int(minor)) for major, minor in TAG.findall(text))
        for text in wheels
        if TAG.search(text)
    ]
    return max(found, default=(2, 17))


def _words(version: Version) -> str:
    return ".".join(map(str, version))
