"""A network as an ONNX file in 8-bit integers, by ONNX Runtime's static quantisation."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kilonet.errors import MissingExtraError
from kilonet.exports.graph.interpret import Pixels
from kilonet.exports.graph.operators import IMAGE, Graph
from kilonet.exports.onnx_graph import onnx_model

BATCH = 64


def onnx_int8(graph: Graph, images: Pixels) -> Any:
    """Return the ``onnx.ModelProto`` of ``graph`` in QDQ form, calibrated on ``images``.

    Weights are int8 with a scale for each output channel, activations uint8; QuantizeLinear and
    DequantizeLinear stand around what was a float operator, as ONNX Runtime's documentation on
    quantisation describes. ``images`` are uint8 (N, C, H, W), some hundreds.

    Raises:
        MissingExtraError: onnxruntime is not installed.
    """
    import onnx

    try:
        from onnxruntime import quantization as quant
    except ImportError as error:
        raise MissingExtraError("export", str(error.name)) from None
    with tempfile.TemporaryDirectory() as folder, _quiet():
        whole, made = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
        onnx.save(onnx_model(graph), whole)
        quant.quantize_static(
            whole,
            made,
            _Batches(images),
            quant_format=quant.QuantFormat.QDQ,
            per_channel=True,
            activation_type=quant.QuantType.QUInt8,
            weight_type=quant.QuantType.QInt8,
            calibrate_method=quant.CalibrationMethod.MinMax,
            op_types_to_quantize=["Conv", "Gemm", "Add", "MaxPool"],
        )
        model = onnx.load(made)
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, dict(graph.metadata))
    onnx.checker.check_model(model, full_check=True)
    return model


class _Batches:
    """What ONNX Runtime asks for calibration images: the next batch, or None after the last."""

    def __init__(self, images: Pixels) -> None:
        self._batches = iter([images[i : i + BATCH] for i in range(0, len(images), BATCH)])

    def get_next(self) -> dict[str, Pixels] | None:
        """Return the next batch by the name of its input."""
        batch = next(self._batches, None)
        return None if batch is None else {IMAGE: batch}


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep advice on pre-processing off the screen: the list has been folded already."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(disabled)
