"""The lowered list against ONNX Runtime and PyTorch: every recipe, odd networks, random graphs."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import HealthCheck, given, settings
from networks import NAMES, example, pictures
from onnx import TensorProto, helper, numpy_helper
from random_graphs import graphs

from kilonet.errors import KilonetError, MissingExtraError
from kilonet.exports.graph import operators as ops
from kilonet.exports.graph.interpret import interpret
from kilonet.exports.graph.lower import lower
from kilonet.exports.graph.operators import UnsupportedOperatorError
from kilonet.exports.onnx_graph import serialised


@pytest.mark.parametrize("name", NAMES)
def test_agrees_with_pytorch_and_onnx_runtime(name: str) -> None:
    found, images = example(name), pictures(6)
    values = interpret(found.graph, images)
    expected = found.logits(images)
    assert expected.std() > 1e-3  # there was something to get wrong
    np.testing.assert_allclose(values["logits"], expected, atol=1e-4)
    session = onnxruntime.InferenceSession(found.path)
    theirs = session.run(["logits", "probabilities"], {"image": images})
    np.testing.assert_allclose(values["logits"], theirs[0], atol=1e-4)
    np.testing.assert_allclose(values["probabilities"], theirs[1], atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_shapes_and_order(name: str) -> None:
    graph = example(name).graph
    values = interpret(graph, pictures(2))
    known = {"image"}
    for op in graph.operators:
        assert set(op.sources) <= known
        assert op.output not in known
        assert values[op.output].shape == (2, *op.shape) == (2, *graph.shape(op.output))
        known.add(op.output)
    assert {"logits", "probabilities"} <= known
    assert graph.classes == tuple("0123456789")


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_left_to_fold(name: str) -> None:
    graph = example(name).graph
    kinds = Counter(type(op).__name__ for op in graph.operators)
    assert not kinds["Scale"]
    assert kinds["InputScaling"] == kinds["Softmax"] == 1
    for op in graph.operators:
        assert all(v.dtype == np.float32 for v in vars(op).values() if isinstance(v, np.ndarray))
        assert len(graph.users(op.output)) or op.output == "probabilities"


def test_batch_norm_and_activations_vanish_into_what_they_follow() -> None:
    kinds = [type(op).__name__ for op in example("gap-iter1").graph.operators]
    assert kinds == [
        *("InputScaling", "Conv2d", "Conv2d", "MaxPool", "Conv2d", "Conv2d", "MaxPool"),
        *("Flatten", "Linear", "Softmax"),
    ]
    kinds = [type(op).__name__ for op in example("simple-8k-plus").graph.operators]
    assert kinds.count("SiLU") == kinds.count("Conv2d") == 10
    assert "Sigmoid" not in kinds
    assert kinds.count("Add") == 3


def test_excitation_is_two_matrices_and_a_product() -> None:
    kinds = Counter(type(op).__name__ for op in example("excited").graph.operators)
    assert (kinds["GlobalAvgPool"], kinds["Linear"], kinds["Mul"]) == (2, 5, 2)
    assert kinds["Conv2d"] == 4  # one of them is batch norm that follows SiLU


def test_batch_norm_that_nothing_takes_in_is_a_depthwise_convolution() -> None:
    convs = [op for op in example("negative-scales").graph.operators if isinstance(op, ops.Conv2d)]
    assert any(conv.depthwise and conv.kernel == (1, 1) for conv in convs)


@given(graphs())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_random_graphs(content: bytes) -> None:
    session = onnxruntime.InferenceSession(content)
    shape = tuple(session.get_inputs()[0].shape[1:])
    images = np.random.default_rng(1).integers(0, 256, (3, *shape), dtype=np.uint8)
    path = Path(_scratch()) / "random.onnx"
    path.write_bytes(content)
    expected = session.run(["logits"], {"image": images})[0]
    found = interpret(lower(path), images)["logits"]
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3 * (1 + np.abs(expected).max()))


def _scratch() -> str:
    return str(example("quick").path.parent)


def small(*nodes: onnx.NodeProto, shape: tuple[int, ...] = (1, 2, 2)) -> bytes:
    """Return a model whose nodes go from "x" (the image as floats) to "y" (the logits)."""
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["image"], ["x"], to=TensorProto.FLOAT),
            *nodes,
            helper.make_node("Flatten", ["y"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["probabilities"]),
        ],
        "small",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", *shape])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", "classes"]),
         helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", "classes"])],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    content: bytes = model.SerializeToString()
    return content


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([helper.make_node("Erf", ["x"], ["y"], name="gelu")], r'Erf \(node "gelu"\).* are Add'),
        ([helper.make_node("Transpose", ["x"], ["y"])], "Transpose"),
        ([helper.make_node("Softmax", ["x"], ["y"], axis=1)], "Softmax.* with an axis other"),
        (
            [helper.make_node("AveragePool", ["x"], ["y"], kernel_shape=[2, 2], pads=[1] * 4)],
            "AveragePool.* with padding",
        ),
        (
            [helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[1, 1], dilations=[2, 2])],
            "MaxPool.* with dilations",
        ),
        (
            [helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], auto_pad="SAME_UPPER")],
            "MaxPool.* with automatic padding",
        ),
        ([helper.make_node("Concat", ["x", "x"], ["y"], axis=2)], "Concat.* an axis other than"),
        ([helper.make_node("MatMul", ["x", "x"], ["y"])], "MatMul.* depend on the image"),
        ([helper.make_node("Div", ["x", "x"], ["y"])], "Div.* two values"),
    ],
)  # fmt: skip
def test_unsupported_nodes_are_named(
    tmp_path: Path, nodes: list[onnx.NodeProto], message: str
) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(small(*nodes))
    with pytest.raises(UnsupportedOperatorError, match=message):
        lower(path)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("ConstantOfShape", ([2**40],)),
        ("Expand", ([1.0], [2**20, 2**20])),
        ("Tile", ([1.0], [2**40])),
        ("Range", (0, 2**40, 1)),
    ],
)
def test_constants_of_any_size_are_not_computed(
    tmp_path: Path, kind: str, values: tuple[Any, ...]
) -> None:
    arrays = [np.array(value) for value in values]
    constants = [
        helper.make_node("Constant", [], [f"c{i}"], value=numpy_helper.from_array(array))
        for i, array in enumerate(arrays)
    ]
    names = [f"c{i}" for i in range(len(arrays))]
    path = tmp_path / "model.onnx"
    path.write_bytes(small(*constants, helper.make_node(kind, names, ["y"])))
    with pytest.raises(UnsupportedOperatorError, match=f"{kind}.*any size"):
        lower(path)


def test_constants_with_branches_are_not_computed(tmp_path: Path) -> None:
    value = helper.make_tensor_value_info("v", TensorProto.FLOAT, [1])
    one = helper.make_node("Constant", [], ["v"], value_floats=[1.0])
    branch = helper.make_graph([one], "b", [], [value])
    condition = helper.make_node(
        "Constant", [], ["c"], value=numpy_helper.from_array(np.array(True))
    )
    node = helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)
    (tmp_path / "model.onnx").write_bytes(small(condition, node))
    with pytest.raises(UnsupportedOperatorError, match=r"If.*any size"):
        lower(tmp_path / "model.onnx")


def test_files_that_cannot_be_lowered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KilonetError, match=r"none.onnx cannot be read: No such file"):
        lower(tmp_path / "none.onnx")
    (tmp_path / "bad.onnx").write_bytes(b"nonsense")
    with pytest.raises(KilonetError, match="is damaged: it is not an ONNX model"):
        lower(tmp_path / "bad.onnx")
    content = example("quick").path.read_bytes()
    (tmp_path / "cut.onnx").write_bytes(content[: len(content) // 2])
    with pytest.raises(KilonetError, match="is damaged"):
        lower(tmp_path / "cut.onnx")
    model = onnx.load(example("quick").path)
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT
    onnx.save(model, tmp_path / "changed.onnx")
    with pytest.raises(KilonetError, match="checksum does not fit"):
        lower(tmp_path / "changed.onnx")
    (tmp_path / "float.onnx").write_bytes(serialised(model))
    with pytest.raises(KilonetError, match='no input "image" of uint8'):
        lower(tmp_path / "float.onnx")
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtraError, match="onnx"):
        lower(example("quick").path)


def test_lowering_needs_no_pytorch() -> None:
    code = (
        "import sys; from pathlib import Path; from kilonet.exports.graph.lower import lower; "
        f"lower(Path({str(example('simple-8k').path)!r})); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
