"""Which ONNX file a name means. What is looked for, and in which order, is decided here alone."""

from __future__ import annotations

import os
from pathlib import Path

from kilonet.errors import RunError, UsageError
from kilonet.runs import layout

SUFFIX = ".onnx"
DEFAULT_MODEL = "kilonet-25k"
"""What reads where no model is named."""


def find_model(name: str | os.PathLike[str] | None) -> Path:
    """Return the ONNX file that ``name`` means: a file that ends in .onnx, else a run's.

    None is ``DEFAULT_MODEL``, which ships.

    Raises:
        UsageError: there is no such file or run.
        RunError: the run has not finished, or has no ONNX file.
    """
    path = Path(name or DEFAULT_MODEL)
    if path.suffix == SUFFIX:
        if not path.is_file():
            raise UsageError(f"There is no file {path}. Name an ONNX file, or a run.")
        return path
    return _of_run(path)


def _of_run(name: Path) -> Path:
    from kilonet.runs.find import open_run

    run = open_run(os.fspath(name))
    run.require_finished()
    path = run.file(layout.ONNX)
    if not path.is_file():
        note = run.facts.get("onnx_note")
        raise RunError(f"{run.path} has no {layout.ONNX}{f': {note}' if note else '.'}")
    return path
