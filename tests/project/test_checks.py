"""The linters, the type checker and the import layers, as tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent


@pytest.mark.check
@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "check", "src", "tests", "experiments", "benchmarks"],
        ["ruff", "format", "--check", "src", "tests", "experiments", "benchmarks"],
        ["mypy"],
        ["lint-imports"],
    ],
    ids=["ruff", "format", "mypy", "imports"],
)
def test_clean(command: list[str]) -> None:
    program = BIN / command[0]
    done = subprocess.run(
        [program, *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "module", ["kilonet", "kilonet.cli", "kilonet.recipe.load", "kilonet.studies.study"]
)
def test_loading_it_imports_no_torch(module: str) -> None:
    heavy = {"torch", "matplotlib", "sklearn", "scipy", "onnx"}
    code = f"import sys, {module}; print(*({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_help_needs_no_pydantic() -> None:
    """What makes ``kilonet --help`` answer at once: nothing is loaded that it does not print."""
    code = "import sys, kilonet.cli; print('pydantic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
