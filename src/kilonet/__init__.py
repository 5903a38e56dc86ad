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

TYPE_CHECKING = False  # as in typing, which would double the time of this import
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from kilonet.errors import KilonetError
    from kilonet.inference import reader
    from kilonet.models.fixed import SimpleMNISTNet
    from kilonet.recipe.schema import Constraints
    from kilonet.studies.search import search
    from kilonet.studies.study import Study, study
    from kilonet.workflows.benchmark import benchmark
    from kilonet.workflows.classifier import Classifier
    from kilonet.workflows.evaluate import check, compare, evaluate
    from kilonet.workflows.export import export, save_pretrained
    from kilonet.workflows.inspect import list_models, model, summary
    from kilonet.workflows.lr_find import lr_find
    from kilonet.workflows.robustness import robustness
    from kilonet.workflows.runs import Run, list_runs, load
    from kilonet.workflows.splits import dataset
    from kilonet.workflows.train import resume, train

__version__ = "0.1.0"

_HOMES = {
    "Classifier": "kilonet.workflows.classifier",
    "Constraints": "kilonet.recipe.schema",
    "KilonetError": "kilonet.errors",
    "Run": "kilonet.workflows.runs",
    "Study": "kilonet.studies.study",
    "SimpleMNISTNet": "kilonet.models.fixed",
    "benchmark": "kilonet.workflows.benchmark",
    "check": "kilonet.workflows.evaluate",
    "compare": "kilonet.workflows.evaluate",
    "dataset": "kilonet.workflows.splits",
    "evaluate": "kilonet.workflows.evaluate",
    "export": "kilonet.workflows.export",
    "list_models": "kilonet.workflows.inspect",
    "list_runs": "kilonet.workflows.runs",
    "load": "kilonet.workflows.runs",
    "lr_find": "kilonet.workflows.lr_find",
    "model": "kilonet.workflows.inspect",
    "reader": "kilonet.inference",
    "resume": "kilonet.workflows.train",
    "robustness": "kilonet.workflows.robustness",
    "save_pretrained": "kilonet.workflows.export",
    "search": "kilonet.studies.search",
    "study": "kilonet.studies.study",
    "summary": "kilonet.workflows.inspect",
    "train": "kilonet.workflows.train",
}

__all__ = [
    "Classifier",
    "Constraints",
    "KilonetError",
    "Run",
    "SimpleMNISTNet",
    "Study",
    "__version__",
    "benchmark",
    "check",
    "compare",
    "dataset",
    "evaluate",
    "export",
    "list_models",
    "list_runs",
    "load",
    "lr_find",
    "model",
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
        from kilonet.errors import MissingExtraError

        raise MissingExtraError("train", str(error.name)) from error


def __dir__() -> list[str]:
    return __all__
