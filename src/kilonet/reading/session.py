"""An ONNX file of a classifier, ready to run: prepared images to probabilities."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from kilonet.errors import KilonetError

Images: TypeAlias = npt.NDArray[np.uint8]
Probabilities: TypeAlias = npt.NDArray[np.float32]

INPUT, OUTPUT = "image", "probabilities"
SHAPE = (1, 28, 28)


class ModelError(KilonetError):
    """An ONNX file is damaged, or is not a classifier of 28×28 grey images."""


class Session:
    """A classifier as training leaves it (see ``export.onnx``): uint8 in, probabilities out."""

    def __init__(self, path: Path) -> None:
        """Load ``path``.

        Raises:
            ModelError: it cannot be loaded, or takes or gives something else.
        """
        self.path = path
        self._session = _load(path)
        self.classes = self._class_names()

    def probabilities(self, images: Images) -> Probabilities:
        """Return (N, K) for prepared images, uint8 (N, 28, 28)."""
        (found,) = self._session.run([OUTPUT], {INPUT: images[:, None]})
        return np.asarray(found)

    def _class_names(self) -> tuple[str, ...]:
        inputs = {end.name: end for end in self._session.get_inputs()}
        outputs = {end.name: end for end in self._session.get_outputs()}
        fits = (
            list(inputs) == [INPUT]
            and inputs[INPUT].type == "tensor(uint8)"
            and tuple(inputs[INPUT].shape[1:]) == SHAPE
            and OUTPUT in outputs
            and isinstance(outputs[OUTPUT].shape[-1], int)
        )
        if not fits:
            raise ModelError(
                f'{self.path} does not read pictures: it must take one input "{INPUT}", uint8 '
                f'N×1×28×28, and give "{OUTPUT}", N×K, as the ONNX file of a run on MNIST does.'
            )
        count = outputs[OUTPUT].shape[-1]
        named = self._session.get_modelmeta().custom_metadata_map.get("classes", "")
        names = tuple(named.split(","))
        return names if len(names) == count else tuple(map(str, range(count)))


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
