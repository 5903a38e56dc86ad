"""What ``import kilonet`` offers."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

import kilonet


@pytest.mark.parametrize("name", [name for name in kilonet.__all__ if not name.startswith("_")])
def test_no_module_takes_the_name_away(name: str) -> None:
    """Importing a submodule binds its name in the package, over whatever was there."""
    assert importlib.util.find_spec(f"kilonet.{name}") is None
    assert callable(getattr(kilonet, name))
    assert getattr(kilonet, name).__doc__


def test_the_list_is_whole() -> None:
    assert dir(kilonet) == kilonet.__all__
    assert set(kilonet.__all__) == {"__version__", *kilonet._HOMES}
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        _ = kilonet.trian  # type: ignore[attr-defined]


def test_importing_it_imports_next_to_nothing() -> None:
    code = (
        "import sys; before = set(sys.modules); import kilonet; print(*set(sys.modules) - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert loaded - sys.stdlib_module_names <= {"kilonet"}
