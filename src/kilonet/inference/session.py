"""An ONNX file of a classifier, ready to run: prepared images to probabilities."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from kilonet.errors import KilonetError
from kilonet.metadata import INK, classes_of, preparation_of
from kilonet.preprocessing import fit, prepare
from kilonet.preprocessing.opening import MOST_PIXELS, Source

Images: TypeAlias = npt.NDArray[np.uint8]
Probabilities: TypeAlias = npt.NDArray[np.float32]

INPUT, OUTPUT = "image", "probabilities"


class ModelError(KilonetError):
    """An ONNX file is damaged, or is not a classifier of grey or colour images."""


class Session:
    """A classifier as training leaves it (see ``export.onnx``): uint8 in, probabilities out."""

    def __init__(self, path: Path) -> None:
        """Load ``path``.

        Raises:
            ModelError: it cannot be loaded, or takes or gives something else.
        """
        self.path = path
        self._session = _load(path)
        self.shape, count = self._ends()
        metadata = self._session.get_modelmeta().custom_metadata_map
        self.classes = classes_of(metadata, count)
        self.frames_ink = preparation_of(metadata, self.shape) == INK

    def prepared(self, source: Source, *, most_pixels: int = MOST_PIXELS) -> Images:
        """Return one picture as the network takes it: its ink framed, or all of it scaled.

        Raises:
            PictureError: it is no picture; or there is no ink, or several digits' ink.
        """
        if self.frames_ink:
            return prepare(source, most_pixels=most_pixels)
        return fit(source, self.shape, most_pixels=most_pixels)

    def probabilities(self, images: Images) -> Probabilities:
        """Return (N, K) for prepared images, uint8 (N, C, H, W), or (N, H, W) of one channel."""
        given = images.reshape(-1, *self.shape)
        (found,) = self._session.run([OUTPUT], {INPUT: given})
        return np.asarray(found)

    def _ends(self) -> tuple[tuple[int, int, int], int]:
        """Return (C, H, W) of what goes in, and how many probabilities come out."""
        inputs = {end.name: end for end in self._session.get_inputs()}
        outputs = {end.name: end for end in self._session.get_outputs()}
        shape = tuple(inputs[INPUT].shape[1:]) if list(inputs) == [INPUT] else ()
        fits = (
            len(shape) == 3
            and all(isinstance(side, int) and side > 0 for side in shape)
            and shape[0] in (1, 3)
            and inputs[INPUT].type == "tensor(uint8)"
            and OUTPUT in outputs
            and isinstance(outputs[OUTPUT].shape[-1], int)
        )
        if not fits:
            raise ModelError(
                f'{self.path} does not read pictures: it must take one input "{INPUT}", uint8 '
                f'N×C×H×W with one channel or three, and give "{OUTPUT}", N×K, as the ONNX file '
                "of a run does."
            )
        channels, height, width = shape
        return (channels, height, width), outputs[OUTPUT].shape[-1]


def _load(path: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # a network of kilo-parameters is done before threads meet
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what goes wrong is raised, not printed as well
    try:
        return onnxruntime.InferenceSession(
            path.read_bytes(), options, providers=["CPUExecutionProvider"]
        )
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}.") from None
    except Exception as error:  # the runtime has an exception for every way to fail
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".: ")
        raise ModelError(
            f"{path} is not an ONNX file that can be run: {reason}. Export or train it again."
        ) from None
