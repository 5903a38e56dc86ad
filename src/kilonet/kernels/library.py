"""The kernels as a shared library: compiled with the system's compiler, kept for the next time."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import platform
import subprocess
import tempfile
from importlib import resources
from pathlib import Path

from kilonet.errors import KilonetError
from kilonet.files import kernel_cache
from kilonet.machine import compile_library, find_compiler

SOURCE = "chain.c"
_HEADERS = (
    *("vectors", "convolution", "winograd", "p4", "ends"),
    *("step", "parts", "forward", "backward"),
)
_SOURCES = (SOURCE, *(f"{name}.h" for name in _HEADERS))
# Nothing of these changes how PyTorch computes, as -ffast-math would, which sets a processor mode.
_EVERYWHERE = ("-std=c99", "-O3", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast")
# What only some compilers and processors know, the best first.
_NATIVE, _WIDE, _THREADS = "-march=native", "-mprefer-vector-width=512", "-fopenmp"
_HERE = ((_NATIVE, _WIDE, _THREADS), (_NATIVE, _THREADS), (_NATIVE, _WIDE), (_NATIVE,), ())


class KernelError(KilonetError):
    """The kernels cannot be had on this machine."""


@functools.cache
def load() -> ctypes.CDLL:
    """Return the kernels, compiled for this machine's processor.

    The first time takes a few seconds; the library is then kept in the user's cache.

    Raises:
        KernelError: there is no C compiler, or it does not compile them.
    """
    compiler = find_compiler()
    if compiler is None:
        raise KernelError("there is no C compiler (cc, gcc, clang) on this machine")
    cache = kernel_cache()
    name = f"{_identity(compiler)}.so"
    try:
        cache.mkdir(parents=True, exist_ok=True, mode=0o700)
        return _loaded(cache / name, compiler)
    except OSError:  # the cache cannot be written to, or what is in it is not a library
        with tempfile.TemporaryDirectory() as folder:
            return _loaded(Path(folder) / name, compiler)


def _loaded(library: Path, compiler: str) -> ctypes.CDLL:
    if not library.exists():
        _compile(library, compiler)
    return ctypes.CDLL(str(library))


def _compile(library: Path, compiler: str) -> None:
    """Write ``library`` whole or not at all; others may be compiling it at the same time."""
    with tempfile.TemporaryDirectory(dir=library.parent) as folder:
        for name in _SOURCES:
            (Path(folder) / name).write_bytes(_content(name))
        made = Path(folder) / "made.so"
        for flags in _HERE:
            try:
                compile_library(compiler, (*_EVERYWHERE, *flags), Path(folder) / SOURCE, made)
                break
            except KilonetError as error:
                if flags == _HERE[-1]:
                    raise KernelError(str(error)) from error
        made.replace(library)


def _identity(compiler: str) -> str:
    """Return what names the library that ``compiler`` makes for this processor."""
    version = subprocess.run([compiler, "--version"], capture_output=True, check=False).stdout
    facts = [version, _processor(), *map(_content, _SOURCES)]
    facts += [str(flags).encode() for flags in (_EVERYWHERE, *_HERE)]
    return hashlib.sha256(b"\0".join(facts)).hexdigest()[:16]


def _processor() -> bytes:
    """Return what tells processors with other instructions apart; a home may be shared by them."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    features = [line for line in lines if line.startswith(("flags", "Features", "model name"))]
    return "\n".join([platform.machine(), platform.processor(), *features[:2]]).encode()


def _content(name: str) -> bytes:
    return resources.files("kilonet.kernels").joinpath(name).read_bytes()
