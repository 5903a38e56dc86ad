"""Which packages an extra brings, and one clear error where they are absent."""

from __future__ import annotations

from importlib.util import find_spec

from kilonet.errors import MissingExtraError

PACKAGES = {
    "train": ("torch", "safetensors", "sklearn", "scipy", "matplotlib", "jinja2", "pooch"),
    "export": ("onnx", "onnxscript"),
}


def require(*extras: str) -> None:
    """Check that the packages of all ``extras`` are installed, without importing them.

    Raises:
        MissingExtraError: one is not; the message names the extra and how to install it.
    """
    for extra in extras:
        for package in PACKAGES[extra]:
            if find_spec(package) is None:
                raise MissingExtraError(extra, package)
