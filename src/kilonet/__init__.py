"""Kilonet: image classifiers counted in kilo-parameters.

    import kilonet

    run = kilonet.train("gap-14k", epochs=2)
    run.test.accuracy
    model = kilonet.load(run)

The names below are the public interface. They are loaded when first used, so that importing the
package stays fast and needs no PyTorch.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING, Any

from kilonet.errors import MissingExtraError

if TYPE_CHECKING:
    from kilonet.api.check import check
    from kilonet.api.classifier import Classifier
    from kilonet.api.compare import compare
    from kilonet.api.evaluate import evaluate
    from kilonet.api.export import export
    from kilonet.api.load import load
    from kilonet.api.lr_find import lr_find
    from kilonet.api.models import list_models
    from kilonet.api.pretrained import save_pretrained
    from kilonet.api.robustness import robustness
    from kilonet.api.run import Run, list_runs
    from kilonet.api.study import Study, study
    from kilonet.api.study_search import search
    from kilonet.api.summary import summary
    from kilonet.api.train import resume, train
    from kilonet.errors import KilonetError
    from kilonet.models.simple import SimpleMNISTNet
    from kilonet.reading import reader

__version__ = "0.1.0"

_HOMES = {
    "Classifier": "kilonet.api.classifier",
    "KilonetError": "kilonet.errors",
    "Run": "kilonet.api.run",
    "Study": "kilonet.api.study",
    "SimpleMNISTNet": "kilonet.models.simple",
    "check": "kilonet.api.check",
    "compare": "kilonet.api.compare",
    "evaluate": "kilonet.api.evaluate",
    "export": "kilonet.api.export",
    "list_models": "kilonet.api.models",
    "list_runs": "kilonet.api.run",
    "load": "kilonet.api.load",
    "lr_find": "kilonet.api.lr_find",
    "reader": "kilonet.reading",
    "resume": "kilonet.api.train",
    "robustness": "kilonet.api.robustness",
    "save_pretrained": "kilonet.api.pretrained",
    "search": "kilonet.api.study_search",
    "study": "kilonet.api.study",
    "summary": "kilonet.api.summary",
    "train": "kilonet.api.train",
}

__all__ = [
    "Classifier",
    "KilonetError",
    "Run",
    "SimpleMNISTNet",
    "Study",
    "__version__",
    "check",
    "compare",
    "evaluate",
    "export",
    "list_models",
    "list_runs",
    "load",
    "lr_find",
    "reader",
    "resume",
    "robustness",
    "save_pretrained",
    "search",
    "study",
    "summary",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'kilonet' has no attribute '{name}'")
    value = getattr(_import(_HOMES[name]), name)
    globals()[name] = value
    return value


def _import(module: str) -> ModuleType:
    """Import ``module``; a package that it lacks is named with the extra that brings it."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "kilonet":
            raise
        raise MissingExtraError("train", str(error.name)) from error


def __dir__() -> list[str]:
    return __all__
