"""Run an exported Lambda function on this machine, in an interpreter that sees nothing else."""

from __future__ import annotations

import base64
import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from kilonet.errors import KilonetError
from kilonet.exports.graph.interpret import Pixels
from kilonet.files import temporary_folder

BATCH = 500

DRIVER = """
import base64, json, sys, time
sys.path.insert(0, sys.argv[1])
import handler, numpy, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1] + "/model.onnx")
for line in sys.stdin:
    message = json.loads(line)
    if "event" in message:
        start = time.perf_counter()
        handler.handler(message["event"], None)
        result = time.perf_counter() - start
    else:
        pixels = numpy.frombuffer(base64.b64decode(message["pixels"]), numpy.uint8)
        shape = session.get_inputs()[0].shape[1:]
        result = session.run(["logits"], {"image": pixels.reshape(-1, *shape)})[0].tolist()
    print(json.dumps(result), flush=True)
"""


class FunctionNetwork:
    """The function in the archive ``path``: a context manager that removes it at the end.

    The interpreter has no site-packages, so it sees only what the archive contains. Logits come
    from the archive's model on the archive's ONNX Runtime. The time of a picture is that of a whole
    request, from the event with a PNG file to the response, measured in the function's process.

    Raises:
        KilonetError: the function does not start.
    """

    def __init__(self, path: Path) -> None:
        self._folder = temporary_folder()
        with zipfile.ZipFile(path) as archive:
            archive.extractall(self._folder.name)
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", DRIVER, self._folder.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> FunctionNetwork:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._process.communicate()
        self._folder.cleanup()

    def logits(self, images: Pixels) -> npt.NDArray[np.float32]:
        """Return the logits (N, K) of uint8 images (N, C, H, W)."""
        batches = [images[i : i + BATCH] for i in range(0, len(images), BATCH)]
        rows = [self._send({"pixels": _base64(batch.tobytes())}) for batch in batches]
        return np.concatenate([np.array(batch, np.float32) for batch in rows])

    def one(self, image: Pixels) -> float:
        """Send one image (1, C, H, W) as a PNG file in a request; return the seconds it took."""
        return float(self._send({"event": request(png(image[0]))}))

    def _send(self, message: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()
            return json.loads(self._process.stdout.readline())
        except (OSError, ValueError):
            _, log = self._process.communicate()
            last = (log.splitlines() or ["no message"])[-1]
            raise KilonetError(f"The function in the archive does not run: {last}") from None


def request(content: bytes) -> dict[str, Any]:
    """Return an event in payload format 2.0 that posts a picture's file."""
    return {
        "version": "2.0",
        "requestContext": {"http": {"method": "POST", "path": "/"}},
        "headers": {"content-type": "image/png"},
        "body": _base64(content),
        "isBase64Encoded": True,
    }


def png(pixels: Pixels) -> bytes:
    """Return a PNG file of uint8 pixels: grey (H, W), or (C, H, W) with one or three channels."""
    from PIL import Image

    file = io.BytesIO()
    rows = np.moveaxis(pixels, 0, -1) if pixels.ndim == 3 else pixels
    Image.fromarray(np.ascontiguousarray(rows).squeeze()).save(file, "PNG")
    return file.getvalue()


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
