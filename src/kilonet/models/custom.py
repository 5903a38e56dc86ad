"""Networks of the user's own: a class in a Python file, named in a recipe as ``module:Class``.

A class is imported only if the user names it.
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from inspect import Parameter
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from kilonet.errors import RecipeError, RunError, UsageError, nearest
from kilonet.recipe.families import CustomConfig, Model

_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)
_EXAMPLE = 'Write "mynet:Net" for the class Net in mynet.py of the current directory.'


def load_class(name: str) -> type[nn.Module]:
    """Import and return the class ``name``, "package.module:Class".

    The current directory comes first on the import path during the import. The import runs the
    user's own code: call this for names that the user wrote, never for names in files from
    elsewhere.

    Raises:
        RecipeError: the name is malformed, the module cannot be found or imported, it has no such
            class, or the class is not a subclass of ``torch.nn.Module``.
    """
    if not _NAME.fullmatch(name):
        raise RecipeError(f'"{name}" is not of the form package.module:Class. {_EXAMPLE}')
    module_name, _, class_name = name.partition(":")
    module = _import(module_name)
    cls = getattr(module, class_name, None)
    if cls is None:
        hint = nearest(class_name, _networks(module)) or f" Its networks: {_listed(module)}."
        raise RecipeError(f'{_path(module)} has no class "{class_name}".{hint}')
    if not (isinstance(cls, type) and issubclass(cls, nn.Module)):
        raise RecipeError(
            f'"{name}" is not a network: it has to be a class derived from torch.nn.Module.'
        )
    return cls


def instantiate(cls: type[nn.Module], arguments: Mapping[str, Any]) -> nn.Module:
    """Return ``cls(**arguments)``.

    Raises:
        RecipeError: an argument is unknown or missing (the message lists the accepted ones), or
            the constructor raises.
    """
    name = f"{cls.__module__}:{cls.__qualname__}"
    signature = inspect.signature(cls)
    try:
        signature.bind(**arguments)
    except TypeError as error:
        accepted = list(signature.parameters.values())
        raise RecipeError(
            f"{name}: {error}.{_suggestion(arguments, accepted)} {_accepts(accepted)}"
        ) from None
    try:
        return cls(**arguments)
    except Exception as error:
        given = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
        raise RecipeError(f"{name}({given}) cannot be constructed: {_describe(error)}.") from error


def require_trusted(model: Model, folder: Path, trusted: str | None) -> None:
    """Check that loading ``model`` imports no code that the user has not named.

    ``model`` was read from ``folder``. ``trusted`` is the class that the user named, if any.

    Raises:
        RunError: ``model`` is a class of the user's own, and the user has named none.
        UsageError: the user has named another class.
    """
    name = model.name
    is_custom = isinstance(model, CustomConfig)
    if is_custom and trusted is None:
        raise RunError(
            f"The network of {folder} is the class {name}, which is code outside the run. A "
            f"folder alone never makes Kilonet import code: name the class yourself, --model {name}"
        )
    if trusted is not None and trusted != name:
        remedy = f"Give --model {name}" if is_custom else "Leave out --model"
        raise UsageError(f"The network of {folder} is {name}, not {trusted}. {remedy}.")


def _import(module_name: str) -> ModuleType:
    importlib.invalidate_caches()  # the file may be newer than the import system's cache
    try:
        with _current_directory_first():
            return importlib.import_module(module_name)
    except (Exception, SystemExit) as error:  # a script may call sys.exit
        if isinstance(error, ModuleNotFoundError) and _is_part_of(error.name, module_name):
            raise RecipeError(
                f'No module "{module_name}": {error.name} is neither in {Path.cwd()} nor '
                f"installed. {_EXAMPLE}"
            ) from None
        raise RecipeError(f'Importing "{module_name}" failed: {_describe(error)}.') from error


@contextmanager
def _current_directory_first() -> Iterator[None]:
    entry = str(Path.cwd())
    sys.path.insert(0, entry)
    try:
        yield
    finally:
        with suppress(ValueError):  # the module may have changed the path itself
            sys.path.remove(entry)


def _is_part_of(missing: str | None, module_name: str) -> bool:
    return missing is not None and f"{module_name}.".startswith(f"{missing}.")


def _describe(error: BaseException) -> str:
    """Return the kind of error, its message, and the file and line that raised it."""
    text = f"{type(error).__name__}: {error}".rstrip(": .")
    if isinstance(error, SyntaxError):  # its message names file and line
        return text
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{text} ({Path(frame.filename).name}, line {frame.lineno})"


def _path(module: ModuleType) -> str:
    return str(getattr(module, "__file__", None) or module.__name__)


def _networks(module: ModuleType) -> list[str]:
    """Return the names of the networks that ``module`` itself defines."""
    return [
        name
        for name, value in vars(module).items()
        if isinstance(value, type)
        and issubclass(value, nn.Module)
        and value.__module__ == module.__name__
    ]


def _listed(module: ModuleType) -> str:
    return ", ".join(_networks(module)) or "none"


def _suggestion(arguments: Mapping[str, Any], accepted: list[Parameter]) -> str:
    names = [parameter.name for parameter in accepted]
    unknown = [key for key in arguments if key not in names]
    return nearest(unknown[0], names) if unknown else ""


def _accepts(accepted: list[Parameter]) -> str:
    shown = [str(p.replace(annotation=Parameter.empty)) for p in accepted]
    return f"It accepts: {', '.join(shown)}." if shown else "It accepts no arguments."
