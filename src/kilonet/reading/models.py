"""Which ONNX file a name means. What is looked for, and in which order, is decided here alone."""

from __future__ import annotations

import os
from pathlib import Path

from kilonet.errors import RunError, UsageError
from kilonet.paths import runs_dir
from kilonet.runs import layout

SUFFIX = ".onnx"


def find_model(name: str | os.PathLike[str] | None) -> Path:
    """Return the ONNX file that ``name`` means: a file that ends in .onnx, else a run's.

    None is the newest finished run.

    Raises:
        UsageError: there is no such file or run, or no finished run at all.
        RunError: the run has not finished, or has no ONNX file.
    """
    if name is None:
        return _newest()
    path = Path(name)
    if path.suffix == SUFFIX:
        if not path.is_file():
            raise UsageError(f"There is no file {path}. Name an ONNX file, or a run.")
        return path
    return _of_run(name)


def _of_run(name: str | os.PathLike[str]) -> Path:
    from kilonet.runs.find import open_run

    run = open_run(os.fspath(name))
    run.require_finished()
    path = run.file(layout.ONNX)
    if not path.is_file():
        note = run.facts.get("onnx_note")
        raise RunError(f"{run.path} has no {layout.ONNX}{f': {note}' if note else '.'}")
    return path


def _newest() -> Path:
    from kilonet.runs.find import list_runs

    for run in reversed(list_runs(runs_dir()).runs):
        path = run.file(layout.ONNX)
        if run.finished and path.is_file():
            return path
    raise UsageError(
        f"No model is named, and {runs_dir()} has no finished run to take one from. Train one "
        "(kilonet train), or name a run or an ONNX file: --model NAME."
    )
