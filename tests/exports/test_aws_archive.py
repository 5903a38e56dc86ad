"""The files of a Lambda function: what the archive contains, and where it runs."""

from __future__ import annotations

import platform
import re
import sys

import onnx
import pytest
from functions import LAMBDA, archive, files
from networks import example

from kilonet.errors import KilonetError
from kilonet.exports.aws import archive as module
from kilonet.exports.aws.archive import (
    Platform,
    function_files,
    glibc_of_wheels,
    remark,
    required_glibc,
    this_platform,
)


def test_it_is_small_enough() -> None:
    content = files()["net-1-lambda.zip"]
    assert len(content) < 40_000_000
    assert module.unpacked_bytes(content) < 120_000_000


def test_what_is_in_it() -> None:
    names = {*archive().namelist()}
    inside = ("errors.py", "inference/predict.py", "inference/digit_detector.onnx")
    own = {f"kilonet/{name}" for name in inside}
    assert {"handler.py", "model.onnx", *own} <= names
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} <= {
        *("handler.py", "model.onnx", "kilonet", "onnxruntime"),
        *("numpy", "numpy.libs", "PIL", "pillow.libs"),
    }
    needless = re.compile(r"/tests/|__pycache__|\.(pyi|h|a|js)$|^kilonet/(api|cli|training)|sympy")
    assert [name for name in names if needless.search(name)] == []


def test_licences_travel_but_nothing_of_this_machine() -> None:
    names = archive().namelist()
    for package in ("numpy", "pillow"):
        assert any(re.match(rf"{package}-.*dist-info/licen[cs]es?/", name) for name in names)
    assert "onnxruntime/LICENSE" in names
    assert not [name for name in names if re.search(r"RECORD|direct_url|INSTALLER", name)]


def test_a_package_that_pip_did_not_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DISTRIBUTIONS", ("no-such-package",))
    with pytest.raises(KilonetError, match=r'"no-such-package", .* pip install'):
        module.make_archive(b"")


def test_equal_contents_are_equal_archives() -> None:
    assert {entry.date_time for entry in archive().infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert archive().namelist() == sorted(archive().namelist())


def test_the_template_deploys_the_archive() -> None:
    assert list(files()) == ["net-1-lambda.zip", "net-1-lambda.yaml"]
    text = files()["net-1-lambda.yaml"].decode()
    for line in (
        'CodeUri: "net-1-lambda.zip"',
        "Runtime: python3.12",
        "Architectures: [x86_64]",
        "Handler: handler.handler",
        "sam deploy --guided --template-file net-1-lambda.yaml",
        '"https://${ServerlessHttpApi}.execute-api.${AWS::Region}.amazonaws.com/"',
    ):
        assert line in text


def test_only_networks_for_pictures() -> None:
    model = onnx.load(example("quick").path)
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 2
    with pytest.raises(KilonetError, match="net takes images of 2×28×28, and the target lambda"):
        function_files(model, "net", LAMBDA)


def test_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "make_archive", lambda _: files()["net-1-lambda.zip"])
    monkeypatch.setattr(module, "MAX_ZIPPED", 1_000)
    with pytest.raises(KilonetError, match=r"bytes, .* unpacked; Lambda takes 1,000 and"):
        function_files(onnx.load(example("quick").path), "net", LAMBDA)


def test_this_platform() -> None:
    here = this_platform()
    assert here.python == sys.version_info[:2]
    assert here.runtime == f"python{here.python[0]}.{here.python[1]}"
    assert here.system == platform.system()
    assert required_glibc() >= (2, 17)


@pytest.mark.parametrize(
    ("here", "required", "text"),
    [
        (("Linux", "x86_64", (3, 12)), (2, 28), "3.12, as the packages here are: Lambda's runtime"),
        (("Linux", "arm64", (3, 11)), (2, 26), "Lambda's runtime python3.11"),
        (("Linux", "x86_64", (3, 11)), (2, 28), "will not run on Lambda's python3.11, whose C"),
        (("Darwin", "arm64", (3, 12)), (2, 17), "will not run on Lambda, which is Linux"),
        (("Windows", "x86_64", (3, 12)), (2, 17), "will not run on Lambda, which is Linux"),
    ],
)
def test_remark(
    here: tuple[str, str, tuple[int, int]], required: tuple[int, int], text: str
) -> None:
    assert text in remark(Platform(*here), required)


def test_the_glibc_that_wheels_need() -> None:
    both = "Tag: cp311-cp311-manylinux_2_27_x86_64\nTag: cp311-cp311-manylinux_2_28_x86_64\n"
    assert glibc_of_wheels([both, "Tag: py3-none-any\n"]) == (2, 27)
    assert glibc_of_wheels([both, "Tag: cp311-cp311-manylinux_2_34_aarch64\n"]) == (2, 34)
    assert glibc_of_wheels(["", "Tag: cp311-cp311-manylinux2014_x86_64"]) == (2, 17)
