"""The files of a function, and what is refused."""

from __future__ import annotations

import onnx
import pytest
from functions import LAMBDA, files
from networks import example

from kilonet.errors import KilonetError
from kilonet.exports.aws import emit as room
from kilonet.exports.aws.emit import function_files


def test_the_template_deploys_the_archive() -> None:
    assert list(files()) == ["net-1-lambda.zip", "net-1-lambda.yaml"]
    text = files()["net-1-lambda.yaml"].decode()
    for line in (
        "CodeUri: net-1-lambda.zip",
        "Runtime: python3.12",
        "Architectures: [x86_64]",
        "Handler: handler.handler",
        "sam deploy --guided --template-file net-1-lambda.yaml",
        '"https://${ServerlessHttpApi}.execute-api.${AWS::Region}.amazonaws.com/"',
    ):
        assert line in text


def test_only_networks_that_read_pictures() -> None:
    model = onnx.load(example("quick").path)
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 2
    with pytest.raises(KilonetError, match="net reads images of 2×28×28, and the target lambda"):
        function_files(model, "net", LAMBDA)


def test_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "make_archive", lambda _: files()["net-1-lambda.zip"])
    monkeypatch.setattr(room, "MOST_ZIPPED", 1_000)
    with pytest.raises(KilonetError, match=r"bytes, .* unpacked; Lambda takes 1,000 and"):
        function_files(onnx.load(example("quick").path), "net", LAMBDA)
