"""Code from outside: a class is imported only if the user names it."""

from __future__ import annotations

from pathlib import Path

from kilonet.errors import RunError, UsageError
from kilonet.recipe.families import Custom, Model


def require_trusted(model: Model, folder: Path, trusted: str | None) -> None:
    """Check that ``model``, which was read from ``folder``, is ours or the class ``trusted``.

    Raises:
        RunError: it names a class, and the user has named none.
        UsageError: the user names a class that is not it.
    """
    name = model.name
    own = isinstance(model, Custom)
    if own and trusted is None:
        raise RunError(
            f"The network of {folder} is the class {name}, which is code outside the run. A "
            f"folder alone never makes Kilonet import code: name the class yourself, --model {name}"
        )
    if trusted is not None and trusted != name:
        remedy = f"Give --model {name}" if own else "Leave out --model"
        raise UsageError(f"The network of {folder} is {name}, not {trusted}. {remedy}.")
