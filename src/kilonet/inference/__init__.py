"""Pictures in, digits out, on ONNX Runtime: no PyTorch is needed, nor loaded."""

from __future__ import annotations

import os

from kilonet.inference.models import find_model
from kilonet.inference.read import Reader
from kilonet.inference.results import Reading

__all__ = ["Reader", "Reading", "reader"]


def reader(model: str | os.PathLike[str] | None = None) -> Reader:
    """Return what reads digits with ``model``: an ONNX file, a run's folder or a run's name.

        reader = kilonet.reader("gap-14k-1")
        reader.predict("seven.png").digit

    Without ``model`` it is ``kilonet-25k``, which ships.

    Raises:
        UsageError: there is no such model.
        ModelError: its file is damaged, or does not take grey or colour images.
    """
    return Reader(find_model(model))
