"""The kernels as a shared library, compiled with the system's compiler and cached."""

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
    *("vectors", "convolution", "winograd", "p4", "pointwise"),
    *("step", "regions", "forward", "backward"),
)
_SOURCES = (SOURCE, *(f"{name}.h" for name in _HEADERS))
# -ffast-math is not among them: it sets a processor mode that changes PyTorch's results.
_COMMON_FLAGS = ("-std=c99", "-O3", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast")
# Flags that only some compilers and processors support, the fastest first.
_NATIVE, _WIDE, _THREADS = "-march=native", "-mprefer-vector-width=512", "-fopenmp"
_OPTIONAL_FLAGS = (
    (_NATIVE, _WIDE, _THREADS),
    (_NATIVE, _THREADS),
    (_NATIVE, _WIDE),
    (_NATIVE,),
    (),
)


class KernelError(KilonetError):
    """The kernels are not available on this machine."""


@functools.cache
def load() -> ctypes.CDLL:
    """Return the kernels, compiled for this machine's processor.

    The first call takes a few seconds; later ones load the library from the user's cache.

    Raises:
        KernelError: there is no C compiler, or compilation fails.
    """
    compiler = find_compiler()
    if compiler is None:
        raise KernelError("there is no C compiler (cc, gcc, clang) on this machine")
    cache = kernel_cache()
    name = f"{_identity(compiler)}.so"
    try:
        cache.mkdir(parents=True, exist_ok=True, mode=0o700)
        return _loaded(cache / name, compiler)
    except OSError:  # the cache is not writable, or its file is not a library
        with tempfile.TemporaryDirectory() as folder:
            return _loaded(Path(folder) / name, compiler)


def _loaded(library: Path, compiler: str) -> ctypes.CDLL:
    if not library.exists():
        _compile(library, compiler)
    return ctypes.CDLL(str(library))


def _compile(library: Path, compiler: str) -> None:
    """Write ``library`` atomically; other processes may compile it at the same time."""
    with tempfile.TemporaryDirectory(dir=library.parent) as folder:
        for name in _SOURCES:
            (Path(folder) / name).write_bytes(_content(name))
        made = Path(folder) / "made.so"
        for flags in _OPTIONAL_FLAGS:
            try:
                compile_library(compiler, (*_COMMON_FLAGS, *flags), Path(folder) / SOURCE, made)
                break
            except KilonetError as error:
                if flags == _OPTIONAL_FLAGS[-1]:
                    raise KernelError(str(error)) from error
        made.replace(library)


def _identity(compiler: str) -> str:
    """Return a hash of compiler, processor, sources and flags, which names the library."""
    version = subprocess.run([compiler, "--version"], capture_output=True, check=False).stdout
    facts = [version, _processor(), *map(_content, _SOURCES)]
    facts += [str(flags).encode() for flags in (_COMMON_FLAGS, *_OPTIONAL_FLAGS)]
    return hashlib.sha256(b"\0".join(facts)).hexdigest()[:16]


def _processor() -> bytes:
    """Return the processor's features; machines with different ones may share a home directory."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    features = [line for line in lines if line.startswith(("flags", "Features", "model name"))]
    return "\n".join([platform.machine(), platform.processor(), *features[:2]]).encode()


def _content(name: str) -> bytes:
    return resources.files("kilonet.kernels").joinpath(name).read_bytes()
