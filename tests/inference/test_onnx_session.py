"""ONNX files, valid and invalid, and the names that mean them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from kilonet.errors import RunError, UsageError
from kilonet.inference.model import DEFAULT_MODEL, ModelError, OnnxSession, find_model
from kilonet.runs import find, layout
from trained import Trained, finish_run, start_run


def test_probabilities(finished: Trained) -> None:
    session = OnnxSession(finished.path / layout.ONNX)
    images = np.random.default_rng(0).integers(0, 256, (3, 28, 28), dtype=np.uint8)
    found = session.probabilities(images)
    assert found.shape == (3, 10)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
    assert session.classes == tuple("0123456789")


def test_class_names_come_from_the_file(finished: Trained, tmp_path: Path) -> None:
    model = onnx.load(finished.path / layout.ONNX)
    path = tmp_path / "letters.onnx"
    for names, expected in (("abcdefghij", "abcdefghij"), ("abc", "0123456789")):
        del model.metadata_props[:]
        helper.set_model_props(model, {"classes": ",".join(names)})
        onnx.save(model, path)
        assert OnnxSession(path).classes == tuple(expected)


def other_model(path: Path, name: str, kind: int, shape: list[object]) -> Path:
    image = helper.make_tensor_value_info(name, kind, shape)
    result = helper.make_tensor_value_info("probabilities", kind, shape)
    node = helper.make_node("Identity", [name], ["probabilities"])
    graph = helper.make_graph([node], "other", [image], [result])
    opset = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), path)
    return path


@pytest.mark.parametrize(
    ("name", "kind", "shape"),
    [
        ("input", TensorProto.UINT8, ["n", 1, 28, 28]),
        ("image", TensorProto.FLOAT, ["n", 1, 28, 28]),
        ("image", TensorProto.UINT8, ["n", 2, 32, 32]),
        ("image", TensorProto.UINT8, ["n", 1, 28, "width"]),
    ],
)
def test_models_with_other_inputs(
    name: str, kind: int, shape: list[object], tmp_path: Path
) -> None:
    path = other_model(tmp_path / "other.onnx", name, kind, shape)
    with pytest.raises(
        ModelError, match=r"other\.onnx does not classify pictures: it must take one"
    ):
        OnnxSession(path)


@pytest.mark.parametrize("content", [b"", b"hello", bytes(1000)])
def test_damaged_files(content: bytes, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bad.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"bad\.onnx .*(is not an ONNX file|does not classify)"):
        OnnxSession(path)
    assert capfd.readouterr() == ("", "")


def test_a_directory(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read: Is a directory"):
        OnnxSession(tmp_path)


def test_a_run_by_name_and_by_directory(finished: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_model(finished.path) == finished.path / layout.ONNX
    assert find_model(str(finished.path)) == finished.path / layout.ONNX
    monkeypatch.setenv("KILONET_RUNS", str(finished.path.parent))
    assert find_model(finished.path.name) == finished.path / layout.ONNX


def test_a_file(finished: Trained, tmp_path: Path) -> None:
    copy = shutil.copy(finished.path / layout.ONNX, tmp_path / "copy.onnx")
    assert find_model(copy) == copy
    with pytest.raises(UsageError, match=r"There is no file .*missing\.onnx\. Name an ONNX file"):
        find_model(tmp_path / "missing.onnx")


def test_an_unknown_name() -> None:
    finish_run(start_run())
    with pytest.raises(UsageError, match=r'no run "quick-2".*Did you mean "quick-1"'):
        find_model("quick-2")


def test_a_run_without_a_model() -> None:
    run = start_run()
    with pytest.raises(RunError, match=r"has not finished. Resume it: kilonet train --resume"):
        find_model(run.path)
    finish_run(run).update_facts(onnx_note="Net cannot be exported.")
    with pytest.raises(RunError, match=r"has no model\.onnx: Net cannot be exported\."):
        find_model(run.path)


def test_the_default_model() -> None:
    assert find_model(None) == find.SHIPPED_FOLDER / DEFAULT_MODEL / layout.ONNX
