"""An exported ONNX file on ONNX Runtime, one thread."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kilonet.exports.graph.interpret import Pixels

BATCH = 500


class OnnxNetwork:
    """A session on the file ``path``; ``raw`` files get images normalised by mean and std."""

    def __init__(self, path: Path, raw: bool, mean: Sequence[float], std: Sequence[float]) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            path, options, providers=["CPUExecutionProvider"]
        )
        self._input, self._output = ("input", "output") if raw else ("image", "logits")
        self._normalisation = (mean, std) if raw else None

    def logits(self, images: Pixels) -> npt.NDArray[np.float32]:
        """Return the logits (N, K) of uint8 images (N, C, H, W)."""
        batches = [images[i : i + BATCH] for i in range(0, len(images), BATCH)]
        return np.concatenate([self._run(self._given(batch)) for batch in batches])

    def one(self, image: Pixels) -> None:
        """Read one image (1, C, H, W), its preparation for a raw file included."""
        self._run(self._given(image))

    def _given(self, images: Pixels) -> Any:
        if self._normalisation is None:
            return images
        mean, std = (
            np.array(values, np.float32).reshape(1, -1, 1, 1) for values in self._normalisation
        )
        return (images.astype(np.float32) / np.float32(255) - mean) / std

    def _run(self, given: Any) -> npt.NDArray[np.float32]:
        logits: npt.NDArray[np.float32] = self._session.run([self._output], {self._input: given})[0]
        return logits
