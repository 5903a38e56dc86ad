"""Generated C on this machine: compiled with the system's compiler, called through ctypes."""

from __future__ import annotations

import ctypes
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from kilonet.errors import KilonetError
from kilonet.exports.c.emit import CSource
from kilonet.exports.graph.interpret import Pixels
from kilonet.files import temporary_folder
from kilonet.machine import compile_library

FLAGS = ("-std=c99", "-O3")


class CompiledNetwork:
    """The C of a network as a shared library; a context manager that deletes it on exit.

    ``scale`` is the real value of a logit of 1; None for a float network.

    Raises:
        KilonetError: compilation fails.
    """

    def __init__(self, made: CSource, compiler: str, classes: int, scale: float | None) -> None:
        self._folder = temporary_folder()
        self._scale = scale
        kind = np.float32 if scale is None else np.int16
        self._logits: npt.NDArray[Any] = np.zeros(classes, kind)
        try:
            library = _compiled(made, Path(self._folder.name), compiler)
            loaded = ctypes.CDLL(str(library))
        except KilonetError:
            self._folder.cleanup()
            raise
        except OSError as error:
            self._folder.cleanup()
            raise KilonetError(
                f"The compiled network cannot be loaded: {error}. If programs cannot run in that "
                "folder, name another with the variable TMPDIR."
            ) from None
        self._predict = getattr(loaded, f"{made.name}_predict")
        self._predict.argtypes = [ctypes.c_void_p, ctypes.c_void_p]

    def __enter__(self) -> CompiledNetwork:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._folder.cleanup()

    def logits(self, images: Pixels) -> npt.NDArray[np.float32]:
        """Return the logits (N, K) of uint8 images (N, C, H, W), computed one by one."""
        rows = np.zeros((len(images), len(self._logits)), self._logits.dtype)
        channels_last = np.ascontiguousarray(images.transpose(0, 2, 3, 1))
        for image, row in zip(channels_last, rows, strict=True):
            self._predict(image.ctypes.data, row.ctypes.data)
        return (rows * np.float32(1 if self._scale is None else self._scale)).astype(np.float32)

    def one(self, image: Pixels) -> None:
        """Run one image (1, 1, H, W) and discard the result: for timing."""
        self._predict(image.ctypes.data, self._logits.ctypes.data)


def _compiled(made: CSource, folder: Path, compiler: str) -> Path:
    source, library = folder / f"{made.name}.c", folder / f"{made.name}.so"
    (folder / f"{made.name}.h").write_text(made.header, encoding="utf-8")
    source.write_text(made.source, encoding="utf-8")
    compile_library(compiler, FLAGS, source, library)
    return library
