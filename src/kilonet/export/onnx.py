"""A trained network as one ONNX file that takes raw pixels."""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from kilonet.atomic import write_bytes
from kilonet.errors import MissingExtraError

OPSET = 18


class FromPixels(nn.Module):
    """Raw pixels in, logits and probabilities out: what is deployed around a trained network."""

    mean: Tensor
    std: Tensor

    def __init__(self, model: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.model = model
        channels = (1, -1, 1, 1)
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(channels))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(channels))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return float32 logits and probabilities, N×K each, for uint8 images N×C×H×W."""
        normalised = (image.to(torch.float32) / 255.0 - self.mean) / self.std
        logits = self.model(normalised)
        return logits, torch.softmax(logits, dim=1)


def export_onnx(
    model: nn.Module,
    path: Path,
    input_shape: tuple[int, int, int],
    mean: Sequence[float],
    std: Sequence[float],
    metadata: Mapping[str, str],
) -> None:
    """Write ``model`` to ``path`` as one ONNX file, checked by ``onnx.checker``.

    Its input ``image`` is uint8 N×C×H×W, raw pixels 0–255, N free; scaling and normalisation are
    inside. Outputs: ``logits`` and ``probabilities``, float32 N×K. ``metadata`` (class names,
    provenance) becomes the file's metadata properties.

    Raises:
        MissingExtraError: onnx or onnxscript is not installed.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401  (the exporter needs it, and says so less clearly)
    except ImportError as error:
        raise MissingExtraError("train", str(error.name)) from None
    wrapped = FromPixels(copy.deepcopy(model), mean, std).eval().cpu()
    example = torch.zeros(2, *input_shape, dtype=torch.uint8)
    with _quiet():
        program = torch.onnx.export(
            wrapped,
            (example,),
            dynamo=True,
            input_names=["image"],
            output_names=["logits", "probabilities"],
            dynamic_shapes={"image": {0: torch.export.Dim("batch", min=1)}},
            opset_version=OPSET,
            external_data=False,
            verbose=False,
        )
    assert program is not None
    proto = program.model_proto
    onnx.helper.set_model_props(proto, dict(metadata))
    onnx.checker.check_model(proto, full_check=True)
    write_bytes(path, proto.SerializeToString())


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's progress notes and deprecation warnings off the user's screen."""
    level = logging.getLogger("torch.onnx").level
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        try:
            yield
        finally:
            logging.getLogger("torch.onnx").setLevel(level)
