"""The system's C compiler, and child processes that run nothing from the current directory."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path

import pytest

import kilonet
from kilonet.errors import KilonetError
from kilonet.machine import compile_library, find_compiler, python_module


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
    with pytest.raises(KilonetError, match=r"could not compile wrong\.c: .*no such thing"):
        compile_library(str(find_compiler()), [], source, tmp_path / "wrong.so")


PLANTED = [
    "traceback.py",
    "numpy/__init__.py",
    "sitecustomize.py",
    "signal.py",
    "kilonet/__init__.py",
]


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current directory of modules that must not run; each of them would leave a file."""
    for name in PLANTED:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"open({str(tmp_path / 'ran')!r}, 'a').write({name!r})\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("entry", [None, "", ".", "HERE"])
def test_a_child_process_runs_nothing_from_the_current_directory(
    planted: Path, monkeypatch: pytest.MonkeyPatch, entry: str | None
) -> None:
    if entry is not None:
        monkeypatch.syspath_prepend(str(planted) if entry == "HERE" else entry)
    command, environment = python_module("json.tool", "--help")
    subprocess.run(command, env=environment, check=True, capture_output=True)
    code = "import traceback, numpy, signal, kilonet.serve.worker"
    subprocess.run([*command[:-3], "-c", code], env=environment, check=True)
    assert not (planted / "ran").exists()


@pytest.mark.parametrize("package", ["serve.pool", "studies.local_executor"])
def test_every_child_process_is_started_in_this_way(package: str) -> None:
    source = Path(kilonet.__file__).parent.joinpath(*package.split(".")).with_suffix(".py")
    assert "python_module(WORKER_MODULE" in source.read_text(encoding="utf-8")


def test_no_other_file_starts_python() -> None:
    package = Path(kilonet.__file__).parent
    files = {
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        if "sys.executable" in path.read_text(encoding="utf-8")
    }
    assert files == {"machine.py", "exports/aws/run.py"}  # the latter with -I, in an archive
