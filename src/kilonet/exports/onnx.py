"""Export a PyTorch network to one ONNX file that takes raw pixels."""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from kilonet.errors import KilonetError, is_out_of_memory
from kilonet.exports.onnx_graph import OPSET, serialised
from kilonet.extras import import_failure
from kilonet.files import write_bytes
from kilonet.models.blocks import with_standard_modules


class FromPixels(nn.Module):
    """The deployed form of a trained network: raw pixels in, logits and probabilities out."""

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

    Its input ``image`` is uint8 N×C×H×W, raw pixels 0–255, any N; scaling and normalisation are
    part of the graph. Outputs: ``logits`` and ``probabilities``, float32 N×K. ``metadata`` (class
    names, provenance) becomes the file's metadata properties.

    Raises:
        MissingExtraError: onnx or onnxscript is not installed.
        KilonetError: the network (a class of the user's own) cannot be exported to ONNX.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401  (the exporter needs it; its own message is less clear)
    except ImportError as error:
        raise import_failure("train", (error.name or "onnx").partition(".")[0], error) from None
    plain = with_standard_modules(copy.deepcopy(model))
    wrapped = FromPixels(plain, mean, std).eval().cpu()
    # otherwise the exporter writes the order of channels-last memory into the graph
    wrapped = wrapped.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    example = torch.zeros(2, *input_shape, dtype=torch.uint8)
    try:
        proto = _traced(wrapped, example)
    except Exception as error:  # the exporter raises many types
        if is_out_of_memory(error):
            raise
        raise KilonetError(
            f"{type(model).__name__} cannot be exported to ONNX: {_root(error)}. Its forward() "
            "must not branch on the values of its input, and may only use operations that ONNX has."
        ) from error
    _remove_sources(proto.graph)
    onnx.helper.set_model_props(proto, dict(metadata))
    onnx.checker.check_model(proto, full_check=True)
    write_bytes(path, serialised(proto))


def _traced(network: nn.Module, example: Tensor) -> Any:
    """Return the ``onnx.ModelProto`` of ``network``, for any batch size."""
    with quiet():
        program = torch.onnx.export(
            network,
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
    return program.model_proto


def _remove_sources(graph: Any) -> None:
    """Remove the exporter's notes from every node: paths and source lines of this machine."""
    for part in (graph, *graph.node, *graph.value_info, *graph.initializer):
        del part.metadata_props[:]
    for attribute in (attribute for node in graph.node for attribute in node.attribute):
        if attribute.HasField("g"):  # the graph of a branch
            _remove_sources(attribute.g)


def _root(error: BaseException) -> str:
    """Return the type and first line of the error at the root of a chain: the exporter wraps it."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = str(error).splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}".rstrip(".: ")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Suppress the output, log messages and warnings of a library inside the block."""
    disabled, handler = logging.root.manager.disable, logging.NullHandler()
    logging.root.addHandler(handler)  # without one, logging.warning() adds one that stays
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        try:
            yield
        finally:
            logging.disable(disabled)
            logging.root.removeHandler(handler)
