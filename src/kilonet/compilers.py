"""The system's C compiler."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from kilonet.errors import KilonetError

COMPILERS = ("cc", "gcc", "clang")


def find_compiler() -> str | None:
    """Return the path of a C compiler, or None where there is none."""
    return next((path for name in COMPILERS if (path := shutil.which(name))), None)


def compile_library(compiler: str, flags: Sequence[str], source: Path, library: Path) -> None:
    """Compile ``source``, a C file, into the shared library ``library``.

    Raises:
        KilonetError: the compiler does not compile it; the message has its first line.
    """
    command = [compiler, *flags, "-shared", "-fPIC", str(source), "-o", str(library), "-lm"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        first = (done.stderr.splitlines() or ["no message"])[0]
        raise KilonetError(f"{compiler} does not compile {source.name}: {first}")
