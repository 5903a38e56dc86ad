"""The shared test vectors: pictures, and the results that Python and JavaScript must give."""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

FILE = Path(__file__).parent / "vectors.json"


@dataclass(frozen=True, eq=False)
class Vector:
    """A picture, (H, W) or (H, W, 4), and its digits, or the kind of its error."""

    name: str
    pixels: npt.NDArray[np.uint8]
    digits: list[npt.NDArray[np.uint8]]
    error: str | None

    def rgba(self) -> npt.NDArray[np.uint8]:
        """Return the pixels as a browser has them, (H, W, 4)."""
        if self.pixels.ndim == 3:
            return self.pixels
        return np.dstack([*[self.pixels] * 3, np.full_like(self.pixels, 255)])


def _vector(entry: dict[str, Any]) -> Vector:
    content = zlib.decompress(base64.b64decode(entry["pixels"]))
    shape = (entry["height"], entry["width"], entry["channels"])
    pixels = np.frombuffer(content, dtype=np.uint8).reshape(shape)
    digits = [
        np.frombuffer(base64.b64decode(digit), dtype=np.uint8).reshape(28, 28)
        for digit in entry.get("digits", [])
    ]
    return Vector(
        entry["name"], pixels if shape[2] == 4 else pixels[..., 0], digits, entry.get("error")
    )


VECTORS = [_vector(entry) for entry in json.loads(FILE.read_text(encoding="utf-8"))]
