"""The kernels as a library: compiled once, kept, compiled again for what is different."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from pathlib import Path

import pytest

from kilonet.kernels import library
from kilonet.kernels.library import KernelError, load


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache of its own, and nothing loaded yet."""
    monkeypatch.setattr(library, "kernel_cache", lambda: tmp_path / "cache")
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


@pytest.mark.compiler
def test_a_spoilt_library_is_not_used(cache: Path) -> None:
    load()
    (made,) = kept(cache)
    made.unlink()
    made.write_bytes(b"not a library")
    load.cache_clear()
    assert load().chain_forward


@pytest.mark.compiler
def test_works_without_a_cache(cache: Path) -> None:
    cache.write_text("a file where the folder should be")
    assert load().chain_forward


def test_no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "find_compiler", lambda: None)
    with pytest.raises(KernelError, match="no C compiler"):
        load()


def test_a_compiler_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "find_compiler", lambda: "/bin/false")
    with pytest.raises(KernelError, match=r"/bin/false does not compile chain\.c"):
        load()
