"""``kilonet.export``: files, comparison and report; without data, and when it is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

import kilonet
from kilonet import extras
from kilonet.errors import KilonetError, MissingExtraError, RunError, UsageError
from kilonet.runs import layout
from kilonet.workflows import export as room
from kilonet.workflows.runs import Run
from trained import Trained, start_run


@pytest.mark.parametrize("to", ["onnx", pytest.param("c", marks=pytest.mark.compiler)])
@pytest.mark.parametrize("int8", [False, True])
def test_an_export_is_verified(finished_run: Run, tmp_path: Path, to: str, int8: bool) -> None:
    found = kilonet.export(finished_run, to, int8=int8, out=tmp_path)
    assert {*found.files, found.report} == {*tmp_path.iterdir()}
    verification = found.verification
    assert verification is not None
    assert verification.images == 359
    assert verification.pytorch_accuracy == pytest.approx(finished_run.test.accuracy)
    if int8:
        assert verification.same_labels >= 355
    else:
        assert verification.same_labels == 359
        assert verification.largest_logit_difference < 1e-3
    assert found.note is None
    report = json.loads(found.report.read_text(encoding="utf-8"))
    assert {key: report[key] for key in found.to_json()} == found.to_json()
    assert report["environment"]["threads"] == "1"
    assert report["bytes"] == {path.name: path.stat().st_size for path in found.files}


def test_it_goes_into_the_run_by_default(finished: Trained, tmp_path: Path) -> None:
    path = finished.copy(tmp_path / "mine")
    found = kilonet.export(path, "onnx", raw=True)
    assert [file.relative_to(path).as_posix() for file in found.files] == ["export/mine-raw.onnx"]
    assert found.report.name == "mine-onnx-raw.json"
    session = onnxruntime.InferenceSession(found.files[0])
    session.run(None, {"input": np.zeros((1, 1, 28, 28), np.float32)})
    again = kilonet.export(path, "onnx", raw=True)
    assert again.files == found.files


@pytest.mark.browser
def test_a_page_is_verified_in_a_browser(
    browser: object, finished_run: Run, tmp_path: Path
) -> None:
    found = kilonet.export(finished_run, "html", out=tmp_path)
    assert [path.name for path in found.files] == ["quick-1.html"]
    assert found.verification is not None
    assert found.verification.same_labels == 359
    assert found.verification.largest_logit_difference < 1e-3
    assert found.note is None


def test_an_archive_says_what_it_is_for(finished_run: Run, tmp_path: Path) -> None:
    found = kilonet.export(finished_run, "lambda", out=tmp_path)
    assert [path.suffix for path in found.files] == [".zip", ".yaml"]
    assert found.verification is not None
    assert found.verification.same_labels == 359
    assert found.budget["unpacked_bytes"] > found.sizes["quick-1-lambda.zip"]
    assert "the archive is for" in str(found.note)


def test_without_data_it_is_written_and_says_so(
    finished_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "is_available", lambda *_: False)
    found = kilonet.export(finished_run, "c", out=tmp_path)
    assert found.verification is None
    assert "not compared with PyTorch" in str(found.note)
    assert all(path.exists() for path in found.files)
    assert json.loads(found.report.read_text(encoding="utf-8"))["verification"] is None


def test_refused(finished_run: Run, finished: Trained, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match='no export target "html5"'):
        kilonet.export(finished_run, "html5", out=tmp_path)
    with pytest.raises(UsageError, match="There is no run"):
        kilonet.export("none", "onnx", out=tmp_path)
    with pytest.raises(RunError, match="has not finished"):
        kilonet.export(start_run().path, "onnx", out=tmp_path / "x")
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"Cannot write to .*file.*--out"):
        kilonet.export(finished_run, "onnx", out=tmp_path / "file")
    path = finished.copy(tmp_path / "copy")
    (path / layout.ONNX).write_bytes(b"nonsense")
    with pytest.raises(KilonetError, match="is damaged: it is not an ONNX model"):
        kilonet.export(path, "c", out=tmp_path / "x")
    (path / layout.ONNX).unlink()
    with pytest.raises(RunError, match="has no ONNX file to export from"):
        kilonet.export(path, "c", out=tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_without_the_extra(
    finished_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name == "onnx" else name)
    with pytest.raises(MissingExtraError, match=r'"onnx".*kilonet\[train\]'):
        kilonet.export(finished_run, "onnx", out=tmp_path / "x")


@pytest.mark.parametrize("exists", [True, False])
def test_a_link_does_not_lead_an_export_out_of_the_run(
    finished: Trained, tmp_path: Path, exists: bool
) -> None:
    path = finished.copy(tmp_path / "mine")
    outside = tmp_path / "outside"
    if exists:
        outside.mkdir()
    (path / "export").symlink_to(outside)
    with pytest.raises(RunError, match="is a symbolic link out of the run"):
        kilonet.export(path, "onnx")
    assert not exists or not list(outside.iterdir())
    assert kilonet.export(path, "onnx", out=outside).files


@pytest.mark.parametrize("name", ["run\udce9", "run: #1", 'a"b', "*a*"])
@pytest.mark.parametrize("to", ["onnx", "lambda", "huggingface"])
def test_runs_of_any_name_can_be_exported(
    finished: Trained, tmp_path: Path, name: str, to: str
) -> None:
    path = finished.copy(tmp_path / name)
    assert all(file.stat().st_size for file in kilonet.export(path, to).files)
