"""ONNX Runtime: quantise a network with its static quantiser, and run an exported file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kilonet.exports.graph.interpret import Pixels
from kilonet.exports.graph.operators import IMAGE, LOGITS, Graph
from kilonet.exports.onnx import quiet
from kilonet.exports.onnx_graph import IR_VERSION, nodes_outside_network, onnx_model
from kilonet.files import temporary_folder

BATCH = 500
CALIBRATION_BATCH = 64

OPTIONS: Mapping[str, Any] = {
    "CalibMovingAverage": True,
    # The layers that logits come from: in 8 bits, close logits would become equal.
    "OpTypesToExcludeOutputQuantization": ["Gemm", "GlobalAveragePool"],
}
"""ONNX Runtime's names. Chosen on training images that are not used for calibration."""

SHORT = {"_QuantizeLinear_Output": ".q", "_DequantizeLinear_Output": ".dq", "_zero_point": ".zero"}
"""Names take up half of a small model's file, so the quantiser's long ones are shortened."""


def quantise_onnx(graph: Graph, images: Pixels) -> Any:
    """Return the ``onnx.ModelProto`` of a network in 8-bit integers, in QDQ form.

    ONNX Runtime's static quantiser makes it. In QDQ form, pairs of QuantizeLinear and
    DequantizeLinear stand around float operators; runtimes with integer kernels fuse them. Weights
    are int8 and symmetric, with a scale for each output channel. Activations are uint8, with one
    scale a tensor: its range is the mean of the ranges in the batches of ``images``. The
    normalisation of pixels and the softmax stay in float32.

    ``images`` are uint8 (N, C, H, W), some hundreds from the training split. Inputs and outputs
    are those of the float file.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_static

    with temporary_folder() as folder, quiet():
        path = Path(folder) / "int8.onnx"
        quantize_static(
            onnx_model(graph),
            path,
            _CalibrationImages(images),
            per_channel=True,
            reduce_range=True,  # 7 bits: AVX2 adds products in 16 bits, and 8 could overflow
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=nodes_outside_network(graph),
            extra_options=dict(OPTIONS),
        )
        return _compact(onnx.load(path), graph.metadata)


class _CalibrationImages:
    """Images in batches, as ONNX Runtime's quantiser reads them."""

    def __init__(self, images: Pixels) -> None:
        self._batches = iter(_batches(images, CALIBRATION_BATCH))

    def get_next(self) -> dict[str, Pixels] | None:
        """Return the next batch by the name of the model's input, or None after the last."""
        batch = next(self._batches, None)
        return None if batch is None else {IMAGE: batch}


def _compact(model: Any, metadata: Mapping[str, str]) -> Any:
    """Return ``model``, checked, with short names, without shapes and the quantiser's metadata."""
    import onnx

    onnx.helper.set_model_props(model, dict(metadata))
    model.ir_version = IR_VERSION
    del model.graph.value_info[:]
    for node in model.graph.node:
        node.ClearField("name")
        node.input[:] = [_shortened(name) for name in node.input]
        node.output[:] = [_shortened(name) for name in node.output]
    for weight in model.graph.initializer:
        weight.name = _shortened(weight.name)
    onnx.checker.check_model(model, full_check=True)
    return model


def _shortened(name: str) -> str:
    for long, short in SHORT.items():
        name = name.replace(long, short)
    return name


class OnnxNetwork:
    """A session on the file ``path``, one thread.

    Images for a ``raw`` file are normalised with ``mean`` and ``std`` first.
    """

    def __init__(self, path: Path, raw: bool, mean: Sequence[float], std: Sequence[float]) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            path.read_bytes(), options, providers=["CPUExecutionProvider"]
        )
        self._input, self._output = ("input", "output") if raw else (IMAGE, LOGITS)
        self._normalisation = (mean, std) if raw else None

    def logits(self, images: Pixels) -> npt.NDArray[np.float32]:
        """Return the logits (N, K) of uint8 images (N, C, H, W)."""
        return np.concatenate([self._run(batch) for batch in _batches(images, BATCH)])

    def one(self, image: Pixels) -> None:
        """Run one image (1, C, H, W); for a raw file, normalise it first."""
        self._run(image)

    def _run(self, images: Pixels) -> npt.NDArray[np.float32]:
        feed = {self._input: self._prepared(images)}
        logits: npt.NDArray[np.float32] = self._session.run([self._output], feed)[0]
        return logits

    def _prepared(self, images: Pixels) -> npt.NDArray[Any]:
        if self._normalisation is None:
            return images
        mean, std = (
            np.array(values, np.float32).reshape(1, -1, 1, 1) for values in self._normalisation
        )
        normalised: npt.NDArray[Any] = (images.astype(np.float32) / np.float32(255) - mean) / std
        return normalised


def _batches(images: Pixels, size: int) -> list[Pixels]:
    return [images[i : i + size] for i in range(0, len(images), size)]
