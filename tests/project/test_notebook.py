"""The notebook: stored without what it printed, and it runs from the first cell to the last."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "notebooks" / "quickstart.ipynb"


def test_it_is_stored_without_outputs() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs == [] and cell.execution_count is None
    assert not {"widgets", "signature"} & notebook.metadata.keys()


@pytest.mark.check
def test_it_runs() -> None:
    """On the bundled digits, by nbmake, in a kernel of its own."""
    alone = ["-q", "-c", os.devnull, "-p", "no:cacheprovider"]
    nbmake = ["--nbmake", "--nbmake-kernel=python3", "--nbmake-timeout=600"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *alone, *nbmake, str(NOTEBOOK)],
        cwd=ROOT,
        env={**os.environ, "QUICKSTART_DATA": "digits"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
