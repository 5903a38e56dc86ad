"""The kernels as a library: compiled once, kept, compiled again for what is different."""

from __future__ import annotations

import ctypes
import errno
import hashlib
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from kilonet import files, machine
from kilonet.errors import UsageError
from kilonet.kernels import library
from kilonet.kernels.library import load
from kilonet.progress import Reporter
from kilonet.recipe.load import resolve
from kilonet.training.device import choose_compute, choose_kernels


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache of its own, nothing loaded yet, and flags that compile fast."""
    monkeypatch.setattr(library, "kernel_cache", lambda: tmp_path / "cache")
    monkeypatch.setattr(library, "_COMMON_FLAGS", ("-std=c99", "-O0"))
    monkeypatch.setattr(library, "_OPTIONAL_FLAGS", ((),))
    load.cache_clear()
    yield tmp_path / "cache"
    load.cache_clear()


def kept(cache: Path) -> list[Path]:
    return sorted(cache.iterdir())


@pytest.mark.compiler
def test_is_compiled_once_and_kept(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(load(), ctypes.CDLL)
    (made,) = kept(cache)
    assert cache.stat().st_mode & 0o077 == 0

    def never(*_: object) -> None:
        raise AssertionError("compiled a second time")

    monkeypatch.setattr(library, "compile_library", never)
    load.cache_clear()
    assert load().chain_forward
    assert kept(cache) == [made]


@pytest.mark.compiler
def test_another_processor_gets_another(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load()
    monkeypatch.setattr(library, "_processor", lambda: b"another")
    load.cache_clear()
    load()
    assert len(kept(cache)) == 2


@pytest.mark.compiler
def test_flags_that_a_compiler_does_not_know_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "_OPTIONAL_FLAGS", (("-march=no-such-processor",), ()))
    assert load().chain_backward


def cut(library: Path) -> None:
    library.write_bytes(library.read_bytes()[:5000])


def replace_by_link(library: Path) -> None:
    elsewhere = library.parent.parent / "elsewhere.so"
    library.replace(elsewhere)
    library.symlink_to(elsewhere)


@pytest.mark.compiler
@pytest.mark.parametrize(
    "damage",
    [
        lambda library: library.write_bytes(b"not a library"),
        lambda library: library.write_bytes(b""),
        cut,
        replace_by_link,
        lambda library: library.chmod(0o666),
    ],
)
def test_a_damaged_library_is_made_again_and_never_loaded(
    cache: Path, monkeypatch: pytest.MonkeyPatch, damage: Callable[[Path], object]
) -> None:
    load()
    (made,) = kept(cache)
    content = made.read_bytes()
    made.replace(made.with_suffix(".old"))  # the loaded file itself must not change
    made.write_bytes(content)
    damage(made)
    opened: list[str] = []
    library_class = ctypes.CDLL
    monkeypatch.setattr(ctypes, "CDLL", lambda name: opened.append(name) or library_class(name))
    load.cache_clear()
    assert load().chain_forward
    assert opened
    assert str(made) not in opened
    for again in cache.glob("*.so"):
        assert again.stem.endswith(hashlib.sha256(again.read_bytes()).hexdigest())
        assert not again.is_symlink()
        assert again.stat().st_mode & 0o777 == 0o600


@pytest.mark.compiler
def test_a_cache_that_others_can_write_to(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.mkdir()
    cache.chmod(0o777)
    load()
    assert cache.stat().st_mode & 0o777 == 0o700
    cache.chmod(0o777)
    monkeypatch.setattr(Path, "chmod", refuse)
    load.cache_clear()
    opened: list[str] = []
    library_class = ctypes.CDLL
    monkeypatch.setattr(ctypes, "CDLL", lambda name: opened.append(name) or library_class(name))
    assert load().chain_forward
    assert not any(name.startswith(str(cache)) for name in opened)


def refuse(*_: object, **__: object) -> None:
    raise PermissionError(errno.EPERM, "Operation not permitted")


@pytest.mark.compiler
def test_several_processes_at_once(cache: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from kilonet.kernels import library;"
        "library.kernel_cache = lambda: Path(sys.argv[1]);"
        "library._OPTIONAL_FLAGS = ((),); library._COMMON_FLAGS = ('-std=c99', '-O0');"
        "print(library.load().chain_lanes() > 0)"
    )
    command = [sys.executable, "-c", code, str(cache)]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert [process.communicate()[0] for process in started] == ["True\n"] * 3
    assert len(kept(cache)) == 1


Shim = Callable[[Path, pytest.MonkeyPatch], None]


def compiler_that(script: str) -> Shim:
    """Return a shim that puts a compiler ``script`` before all others."""

    def install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        program = folder / "cc"
        program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        program.chmod(0o755)
        monkeypatch.setattr(library, "find_compiler", lambda: str(program))

    return install


def no_compiler(_: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "find_compiler", lambda: None)


def compiler_for_another_system(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = folder / "cc"
    program.write_bytes(b"\x7fELF\x01 not for this machine")
    program.chmod(0o755)
    monkeypatch.setattr(library, "find_compiler", lambda: str(program))


def noexec(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No library can be loaded, neither from the cache nor from the temporary directory."""
    writes_library(folder, monkeypatch)

    def refused(name: str) -> None:
        raise OSError(f"{name}: failed to map segment from shared object")

    monkeypatch.setattr(ctypes, "CDLL", refused)


def read_only(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writes_library(folder, monkeypatch)
    monkeypatch.setattr(tempfile, "TemporaryDirectory", refuse)


def hanging_compiler(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler_that("sleep 60 & sleep 60")(folder, monkeypatch)
    monkeypatch.setattr(machine, "COMPILER_SECONDS", 0.2)
    monkeypatch.setattr(machine, "VERSION_SECONDS", 0.2)


writes_library = compiler_that('while [ "$1" != -o ]; do shift; done; echo x > "$2"')
FOREIGN = r'while [ "$1" != -o ]; do shift; done; printf "\\177ELF\\001\\001\\001" > "$2"'


@pytest.mark.parametrize(
    ("shim", "reason"),
    [
        (no_compiler, r"there is no C compiler \(cc, gcc, clang\) on this machine"),
        (compiler_that("exit 1"), r"cc could not compile chain\.c: no message"),
        (compiler_that("kill -9 $$"), r"cc could not compile chain\.c: no message"),
        (compiler_that("exit 0"), "cc reports success, but writes no library"),
        (compiler_that(r"printf 'erreur: d\351sol\351' >&2; exit 1"), r"chain\.c: erreur: d.sol."),
        (compiler_that(FOREIGN), "the library that .*cc makes cannot be loaded: "),
        (hanging_compiler, r"cc has not finished after 0\.2 s"),
        (compiler_for_another_system, "cc cannot be run: "),
        (noexec, "cannot be loaded: .*failed to map segment"),
        (read_only, "cannot be loaded: .*Operation not permitted"),
    ],
)
def test_auto_falls_back_and_says_why(
    shim: Shim, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shim(tmp_path, monkeypatch)
    kernels, note = choose_kernels("auto", torch.device("cpu"))
    assert kernels == "torch"
    assert note is not None
    assert re.fullmatch(rf"The faster compiled kernels are not used: .*{reason}.*\.", note)
    assert "\n" not in note
    with pytest.raises(UsageError, match=rf'"compiled" was requested, but .*{reason}'):
        choose_kernels("compiled", torch.device("cpu"))
    assert not (tmp_path / "cache").exists() or not list((tmp_path / "cache").iterdir())


@pytest.mark.compiler
def test_without_a_home(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "kernel_cache", files.kernel_cache)
    monkeypatch.setattr("platformdirs.user_cache_path", no_home)
    assert load().chain_forward
    assert not cache.exists()


def no_home(*_: object, **__: object) -> Path:
    raise RuntimeError("could not determine the home directory")


@pytest.mark.compiler
def test_works_without_a_cache(cache: Path) -> None:
    cache.write_text("a file where the folder should be")
    assert load().chain_forward


@pytest.mark.compiler
def test_the_cache_is_bounded(cache: Path) -> None:
    """Of the libraries, those used longest ago go; leftovers go when nobody can be using them."""
    cache.mkdir(mode=0o700)
    yesterday = time.time() - 25 * 3600
    for number in range(20):
        old = cache / f"{number:016}-0.so"
        old.touch()
        os.utime(old, (yesterday + number, yesterday + number))
    left, current = cache / ".a.so.0.part", cache / ".b.so.0.part"
    folder = cache / ".kilonet-temporary-x"
    folder.mkdir()
    for path in (left, current, folder / "chain.c"):
        path.touch()
    for path in (left, folder):
        os.utime(path, (yesterday, yesterday))
    load()
    assert len(list(cache.glob("*.so"))) == 8
    assert (cache / f"{19:016}-0.so").exists()
    assert not (cache / f"{0:016}-0.so").exists()
    assert current.exists()
    assert not left.exists()
    assert not folder.exists()


@pytest.mark.compiler
def test_a_first_compilation_is_announced_once(monkeypatch: pytest.MonkeyPatch) -> None:
    class Messages(Reporter):
        def __init__(self) -> None:
            self.lines: list[str] = []

        def message(self, text: str) -> None:
            self.lines.append(text)

    messages = Messages()
    recipe = resolve("gap-14k", ["training.kernels=compiled", "training.device=cpu"]).recipe
    for _ in range(2):
        choose_compute(recipe, None, messages)
        load.cache_clear()
    assert [line.split(" for ")[0] for line in messages.lines] == ["Compiling kernels"]
    monkeypatch.setattr(library, "find_compiler", lambda: None)
    assert not library.must_compile()
