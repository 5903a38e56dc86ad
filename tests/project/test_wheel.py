"""The built wheel, installed alone in a clean environment."""

from __future__ import annotations

import re
import subprocess
import sys
import venv
from pathlib import Path

import pytest

pytestmark = pytest.mark.check
ROOT = Path(__file__).resolve().parents[2]


def _run(*command: object, check: bool = True) -> subprocess.CompletedProcess[str]:
    words = [str(word) for word in command]
    return subprocess.run(words, cwd="/", capture_output=True, text=True, check=check)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a fresh environment that has the wheel and its base dependencies only."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "env", with_pip=True)
    programs = folder / "env" / "bin"
    constraints = ROOT / "constraints.txt"
    _run(programs / "pip", "install", "-q", "-c", constraints, wheel)
    return programs


def test_wheel_carries_what_it_needs(installed: Path) -> None:
    assert "gap-14k" in _run(installed / "kilonet", "recipes").stdout
    (package,) = installed.parent.glob("lib/python3*/site-packages/kilonet")
    assert (package / "py.typed").exists()
    assert (package / "kernels" / "chain.c").exists()
    assert list((package / "report" / "templates").iterdir())
    assert (package / "exports" / "html" / "page" / "page.html").exists()
    assert (package / "exports" / "aws" / "function" / "handler.py").exists()
    assert "epochs = 15" in _run(installed / "kilonet", "recipes", "show", "gap-14k").stdout


def test_readme_on_the_index_links_only_to_other_sites(installed: Path) -> None:
    """Links and images relative to the repository do not work there."""
    code = "from importlib.metadata import metadata; print(metadata('kilonet')['Description'])"
    text = _run(installed / "python", "-c", code).stdout
    assert text.startswith("# Kilonet\n")
    assert "make test" in text
    assert re.findall(r"\]\((?!https?://)[^)]*\)|<!--", text) == []


def test_base_install_has_no_torch_and_names_the_extra(installed: Path) -> None:
    assert _run(installed / "python", "-c", "import torch", check=False).returncode == 1
    from_python = _run(installed / "python", "-c", "import kilonet; kilonet.train()", check=False)
    assert "MissingExtraError" in from_python.stderr
    failed = _run(installed / "kilonet", "train", check=False)
    assert failed.returncode == 1
    assert 'pip install "kilonet[train]"' in failed.stderr
    assert "Traceback" not in failed.stderr
    # what needs no PyTorch works: the data sets' list, the runs' list
    assert "fashion-mnist" in _run(installed / "kilonet", "data").stdout
    assert "no runs" in _run(installed / "kilonet", "runs").stdout
