"""The system's C compiler: found, used, and quoted where it refuses."""

from __future__ import annotations

import ctypes
import shutil
from pathlib import Path

import pytest

from kilonet.errors import KilonetError
from kilonet.machine import compile_library, find_compiler


@pytest.mark.compiler
def test_finds_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_compiler() == next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))))
    monkeypatch.setenv("PATH", "")
    assert find_compiler() is None


@pytest.mark.compiler
def test_compiles(tmp_path: Path) -> None:
    source = tmp_path / "sum.c"
    source.write_text("int sum(int a, int b) { return a + b; }\n")
    compile_library(str(find_compiler()), ["-std=c99"], source, tmp_path / "sum.so")
    assert ctypes.CDLL(str(tmp_path / "sum.so")).sum(2, 3) == 5


@pytest.mark.compiler
def test_a_compiler_that_refuses_is_quoted(tmp_path: Path) -> None:
    source = tmp_path / "wrong.c"
    source.write_text("#error no such thing\n")
    with pytest.raises(KilonetError, match=r"does not compile wrong\.c: .*no such thing"):
        compile_library(str(find_compiler()), [], source, tmp_path / "wrong.so")
