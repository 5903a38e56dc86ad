"""Exported ONNX files on ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from networks import MEAN, STD, example, pictures

from kilonet.exports.onnx_graph import onnx_model
from kilonet.exports.onnx_run import BATCH, OnnxNetwork


@pytest.mark.parametrize("raw", [False, True])
def test_logits_of_more_than_a_batch(raw: bool, tmp_path: Path) -> None:
    found, images = example("quick"), pictures(BATCH + 3)
    onnx.save(onnx_model(found.graph, raw=raw), tmp_path / "model.onnx")
    network = OnnxNetwork(tmp_path / "model.onnx", raw, MEAN, STD)
    np.testing.assert_allclose(network.logits(images), found.logits(images), atol=1e-4)
    network.one(images[:1])
