"""What a name means."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from kilonet.errors import RunError, UsageError
from kilonet.inference.models import DEFAULT_MODEL, find_model
from kilonet.runs import layout, shipped
from trained import Trained, finish_run, start_run


def test_a_run_by_name_and_by_folder(finished: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_model(finished.path) == finished.path / layout.ONNX
    assert find_model(str(finished.path)) == finished.path / layout.ONNX
    monkeypatch.setenv("KILONET_RUNS", str(finished.path.parent))
    assert find_model(finished.path.name) == finished.path / layout.ONNX


def test_a_file(finished: Trained, tmp_path: Path) -> None:
    copy = shutil.copy(finished.path / layout.ONNX, tmp_path / "copy.onnx")
    assert find_model(copy) == copy
    with pytest.raises(UsageError, match=r"There is no file .*missing\.onnx\. Name an ONNX file"):
        find_model(tmp_path / "missing.onnx")


def test_what_is_nothing() -> None:
    finish_run(start_run())
    with pytest.raises(UsageError, match=r'no run "quick-2".*Did you mean "quick-1"'):
        find_model("quick-2")


def test_a_run_that_has_no_model() -> None:
    run = start_run()
    with pytest.raises(RunError, match=r"has not finished. Go on with it: kilonet train --resume"):
        find_model(run.path)
    finish_run(run).updated(onnx_note="Net cannot be exported.")
    with pytest.raises(RunError, match=r"has no model\.onnx: Net cannot be exported\."):
        find_model(run.path)


def test_what_reads_by_default() -> None:
    assert find_model(None) == shipped.FOLDER / DEFAULT_MODEL / layout.ONNX
