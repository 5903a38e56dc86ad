"""The files of each target, and the options that it takes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from networks import MEAN, STD, example, pictures
from torch import nn

from kilonet.errors import UsageError
from kilonet.exports import targets
from kilonet.exports.graph.operators import UnsupportedOperatorError
from kilonet.exports.onnx import export_onnx
from kilonet.exports.targets import TARGETS, ExportRequest, find_target


def request_for(name: str, **rest: object) -> ExportRequest:
    return ExportRequest(example(name).path, f"{name}-1", MEAN, STD, **rest)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("target", "rest", "names"),
    [
        ("onnx", {}, ["quick-1.onnx"]),
        ("onnx", {"raw": True}, ["quick-1-raw.onnx"]),
        ("onnx", {"calibration": pictures(16)}, ["quick-1-int8.onnx"]),
        pytest.param("c", {}, ["quick_1.h", "quick_1.c"], marks=pytest.mark.compiler),
        pytest.param(
            "c",
            {"calibration": pictures(16)},
            ["quick_1_int8.h", "quick_1_int8.c"],
            marks=pytest.mark.compiler,
        ),
        ("lambda", {}, ["quick-1-lambda.zip", "quick-1-lambda.yaml"]),
        pytest.param("html", {}, ["quick-1.html"], marks=pytest.mark.browser),
    ],
)
def test_files_and_how_they_run(
    target: str, rest: dict[str, object], names: list[str], tmp_path: Path
) -> None:
    made = TARGETS[target].make(request_for("quick", **rest))
    assert list(made.files) == names
    for name, content in made.files.items():
        (tmp_path / name).write_bytes(content)
    with made.start(tmp_path) as network:
        assert network is not None
        images = pictures(7)
        assert (network.one(images[:1]) is None) == (target not in ("html", "lambda"))
        error = network.logits(images) - example("quick").logits(images)
    assert np.abs(error).max() < (0.5 if "calibration" in rest else 1e-3)
    assert bool(made.budget) == (target in ("c", "lambda"))


def test_without_a_compiler_c_is_written_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(targets, "find_compiler", lambda: None)
    made = TARGETS["c"].make(request_for("quick"))
    assert "no C compiler" in str(made.not_runnable)
    with made.start(tmp_path) as network:
        assert network is None


def test_without_a_browser_the_page_is_written_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    made = TARGETS["html"].make(request_for("quick"))
    assert list(made.files) == ["quick-1.html"]
    assert "no Chromium" in str(made.not_runnable)
    with made.start(tmp_path) as network:
        assert network is None


class Odd(nn.Module):
    """Uses what the typed list has no operator for."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.erf(x.flatten(1))[:, :10]


def test_what_the_list_cannot_say_is_still_onnx(tmp_path: Path) -> None:
    path = tmp_path / "odd.onnx"
    export_onnx(Odd(), path, (1, 28, 28), MEAN, STD, {"classes": "0"})
    odd = ExportRequest(path, "odd", MEAN, STD)
    (content,) = TARGETS["onnx"].make(odd).files.values()
    assert any(node.op_type == "Erf" for node in onnx.load_from_string(content).graph.node)
    for target, rest in [("c", {}), ("html", {}), ("onnx", {"raw": True})]:
        with pytest.raises(UnsupportedOperatorError, match="Erf"):
            TARGETS[target].make(ExportRequest(path, "odd", MEAN, STD, **rest))


def test_names_and_options() -> None:
    assert find_target("c", int8=True, raw=False) is TARGETS["c"]
    with pytest.raises(UsageError, match=r'no export target "onx". Did you mean "onnx"\?.*onnx, c'):
        find_target("onx", int8=False, raw=False)
    with pytest.raises(UsageError, match="--raw is not for --to c, only for: onnx"):
        find_target("c", int8=False, raw=True)
    with pytest.raises(UsageError, match="contradict"):
        find_target("onnx", int8=True, raw=True)
