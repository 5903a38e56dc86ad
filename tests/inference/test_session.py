"""ONNX files, right and wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from kilonet.inference.session import ModelError, Session
from kilonet.runs import layout
from trained import Trained


def test_probabilities(finished: Trained) -> None:
    session = Session(finished.path / layout.ONNX)
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
        assert Session(path).classes == tuple(expected)


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
def test_models_of_something_else(
    name: str, kind: int, shape: list[object], tmp_path: Path
) -> None:
    path = other_model(tmp_path / "other.onnx", name, kind, shape)
    with pytest.raises(ModelError, match=r"other\.onnx does not read pictures: it must take one"):
        Session(path)


@pytest.mark.parametrize("content", [b"", b"hello", bytes(1000)])
def test_damaged_files(content: bytes, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bad.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"bad\.onnx .*(is not an ONNX file|does not read)"):
        Session(path)
    assert capfd.readouterr() == ("", "")


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read: Is a directory"):
        Session(tmp_path)
