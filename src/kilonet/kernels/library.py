"""The kernels as a shared library, compiled with the system's compiler and cached.

The cache is a directory that only the user can write to. The name of a library has a hash of
everything it was made from, and the hash of its own content, which is checked before it is loaded.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import stat
from contextlib import suppress
from importlib import resources
from pathlib import Path

from kilonet.errors import KilonetError
from kilonet.files import (
    PART_SUFFIX,
    kernel_cache,
    remove_old,
    temporary_folder,
    write_atomically,
)
from kilonet.machine import (
    CompilerHangsError,
    compile_library,
    compiler_version,
    find_compiler,
)

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
_MAX_LIBRARIES = 8  # in the cache, for other versions, compilers and processors
_COMPILE_SECONDS = 600  # more than the compiler has
_MAX_BYTES = 64 * 2**20  # of a cached library; a real one has about 200 KB


class KernelError(KilonetError):
    """The kernels are not available on this machine."""


@functools.cache
def load() -> ctypes.CDLL:
    """Return the kernels, compiled for this machine's processor.

    The first call takes a few seconds (see ``must_compile``); later ones load the library from the
    user's cache. Where that cannot be used, the library is compiled in a temporary directory.

    Raises:
        KernelError: there is no C compiler, or its library cannot be made or loaded.
    """
    compiler = find_compiler()
    if compiler is None:
        raise KernelError("there is no C compiler (cc, gcc, clang) on this machine")
    try:
        return _cached(compiler)
    except OSError:  # no cache, it is read-only, or its file system does not execute files
        pass
    try:
        with temporary_folder() as folder:
            return ctypes.CDLL(str(_compile(Path(folder), compiler)))
    except OSError as error:
        raise KernelError(f"the library that {compiler} makes cannot be loaded: {error}") from error


def must_compile() -> bool:
    """Return whether ``load`` will compile, because the cache has no library for this machine."""
    compiler, cache = find_compiler(), kernel_cache()
    if compiler is None or load.cache_info().currsize:
        return False
    return cache is None or not any(cache.glob(f"{_identity(compiler)}-*.so"))


def uses_threads(library: ctypes.CDLL) -> bool:
    """Return whether ``library`` was compiled with OpenMP; without it, it works in one thread."""
    return bool(library.chain_has_openmp())


def _cached(compiler: str) -> ctypes.CDLL:
    """Return the library in the cache; compile it first if there is none that is intact.

    Raises:
        OSError: the cache cannot be used.
    """
    cache = _private_cache()
    identity = _identity(compiler)
    for library in sorted(cache.glob(f"{identity}-*.so")):
        if _is_intact(library):
            with suppress(OSError):
                os.utime(library)  # ``_tidy`` removes those that were used longest ago
            return ctypes.CDLL(str(library))
        library.unlink(missing_ok=True)
    _tidy(cache)
    with temporary_folder(cache) as folder:
        made = _compile(Path(folder), compiler)
        loaded = ctypes.CDLL(str(made))  # a library that cannot be loaded is not kept
        content = made.read_bytes()
        kept = cache / f"{identity}-{hashlib.sha256(content).hexdigest()}.so"
        with suppress(OSError):  # a full disk: the library is loaded all the same
            write_atomically(kept, lambda file: file.write(content), mode=0o600)
    return loaded


def _tidy(cache: Path) -> None:
    """Make room for a library: remove old ones, and what killed processes left."""
    with suppress(OSError):
        libraries = sorted(cache.glob("*.so"), key=lambda library: library.stat().st_mtime)
        for library in libraries[: 1 - _MAX_LIBRARIES]:
            library.unlink()
    remove_old(cache.glob(f".*{PART_SUFFIX}"), _COMPILE_SECONDS)


def _private_cache() -> Path:
    """Return the cache's directory, which is made if it is missing.

    Raises:
        OSError: there is none, it cannot be made, or another user can write to it.
    """
    cache = kernel_cache()
    if cache is None:
        raise OSError("the user has no home directory")
    cache.mkdir(parents=True, exist_ok=True, mode=0o700)
    if cache.stat().st_mode & 0o077:
        with suppress(OSError):  # a file system without modes
            cache.chmod(0o700)
    if not _is_own(cache.stat()):
        raise PermissionError(f"{cache} belongs to another user, or others can write to it")
    return cache


def _is_own(status: os.stat_result) -> bool:
    """Return whether a file belongs to this user and nobody else can write to it."""
    if not hasattr(os, "geteuid"):  # no such modes on Windows
        return True
    return status.st_uid == os.geteuid() and not status.st_mode & 0o022


def _is_intact(library: Path) -> bool:
    """Return whether the user's file ``library`` has the content that its name promises."""
    try:
        status = library.lstat()
        if not (stat.S_ISREG(status.st_mode) and _is_own(status) and status.st_size <= _MAX_BYTES):
            return False
        return library.stem.endswith(f"-{hashlib.sha256(library.read_bytes()).hexdigest()}")
    except OSError:
        return False


def _compile(folder: Path, compiler: str) -> Path:
    """Return the library, compiled in ``folder``.

    Raises:
        KernelError: the compiler fails.
        OSError: the sources cannot be written.
    """
    for name in _SOURCES:
        (folder / name).write_bytes(_content(name))
    made = folder / "made.so"
    failure = ""
    for flags in _OPTIONAL_FLAGS:
        try:
            compile_library(compiler, (*_COMMON_FLAGS, *flags), folder / SOURCE, made)
            return made
        except CompilerHangsError as error:  # it would for other flags, too
            raise KernelError(str(error)) from None
        except KilonetError as error:
            failure = str(error)
    raise KernelError(failure)


def _identity(compiler: str) -> str:
    """Return a hash of compiler, processor, sources and flags, which names the library."""
    facts = [os.fsencode(compiler), compiler_version(compiler), _processor()]
    facts += map(_content, _SOURCES)
    facts += [str(flags).encode() for flags in (_COMMON_FLAGS, *_OPTIONAL_FLAGS)]
    return hashlib.sha256(b"\0".join(facts)).hexdigest()[:16]


def _processor() -> bytes:
    """Return the processor's features; machines with different ones may share a home directory."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    features = [line for line in lines if line.startswith(("flags", "Features", "model name"))]
    return "\n".join([platform.machine(), platform.processor(), *features[:2]]).encode()


def _content(name: str) -> bytes:
    return resources.files("kilonet.kernels").joinpath(name).read_bytes()
