"""Which packages an extra brings, and one clear error where they are absent."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from kilonet.errors import KilonetError, MissingExtraError, UsageError

PACKAGES = {
    # every run ends with an ONNX file, so training needs what writes it
    "train": (
        "torch",
        "safetensors",
        "sklearn",
        "scipy",
        "matplotlib",
        "jinja2",
        "pooch",
        "filelock",
        "onnx",
        "onnxscript",
    ),
    "study": ("optuna",),
    "tensorboard": ("tensorboard",),
    "ray": ("ray",),
    "serve": ("fastapi", "uvicorn", "python_multipart", "prometheus_client", "httptools"),
}


def require(extra: str) -> None:
    """Check that the packages of ``extra`` are installed, without importing them.

    Some of them end the process if the current folder does not exist: that is checked, too.
    """
    try:
        Path.cwd()
    except FileNotFoundError:
        raise UsageError("The current folder was removed. Change to another: cd DIR") from None
    for package in PACKAGES[extra]:
        if find_spec(package) is None:
            raise MissingExtraError(extra, package)


def import_failure(extra: str, package: str, error: ImportError) -> KilonetError:
    """Return what to raise when ``package`` of ``extra`` cannot be imported: the true cause."""
    if isinstance(error, ModuleNotFoundError):
        return MissingExtraError(extra, package)
    return KilonetError(
        f'"{package}" is installed, but cannot be loaded: {error}. Free some memory, or install it '
        f'again: pip install --force-reinstall "{package}"'
    )
