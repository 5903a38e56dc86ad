"""Networks of the user's own: a class in a Python file, named in a recipe as ``module:Class``."""

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

from kilonet.errors import RecipeError, nearest

_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)
_EXAMPLE = 'Write "mynet:Net" for the class Net in mynet.py of the current directory.'


def load_class(name: str) -> type[nn.Module]:
    """Import and return the class that ``name`` ("package.module:Class") stands for.

    The current directory comes first on the import path while its module is imported. This runs
    the user's own code: call it for names that the user wrote, never for those in files from
    elsewhere. Raises ``RecipeError`` if the name is malformed, the module cannot be found or
    imported, or has no such class, or the class is not a subclass of ``torch.nn.Module``.
    """
    if not _NAME.fullmatch(name):
        raise RecipeError(f'"{name}" is not of the form package.module:Class. {_EXAMPLE}')
    module_name, _, class_name = name.partition(":")
    module = _import(module_name)
    found = getattr(module, class_name, None)
    if found is None:
        hint = nearest(class_name, _networks(module)) or f" Its networks: {_listed(module)}."
        raise RecipeError(f'{_place(module)} has no class "{class_name}".{hint}')
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise RecipeError(
            f'"{name}" is not a network: it has to be a class derived from torch.nn.Module.'
        )
    return found


def instantiate(cls: type[nn.Module], arguments: Mapping[str, Any]) -> nn.Module:
    """Return ``cls(**arguments)``.

    Raises ``RecipeError`` if an argument is unknown or missing, naming the accepted ones, or if
    the constructor itself raises.
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
        raise RecipeError(f"{name}({given}) cannot be constructed: {_what(error)}.") from error


def _import(module_name: str) -> ModuleType:
    importlib.invalidate_caches()  # the file may be younger than the last look at its directory
    try:
        with _current_directory_first():
            return importlib.import_module(module_name)
    except (Exception, SystemExit) as error:  # a script may well call sys.exit
        if isinstance(error, ModuleNotFoundError) and _is_part_of(error.name, module_name):
            raise RecipeError(
                f'No module "{module_name}": {error.name} is neither in {Path.cwd()} nor '
                f"installed. {_EXAMPLE}"
            ) from None
        raise RecipeError(f'Importing "{module_name}" failed: {_what(error)}.') from error


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


def _what(error: BaseException) -> str:
    """Return the kind of error, its message, and the file and line that raised it."""
    text = f"{type(error).__name__}: {error}".rstrip(": .")
    if isinstance(error, SyntaxError):  # names its place itself
        return text
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{text} ({Path(frame.filename).name}, line {frame.lineno})"


def _place(module: ModuleType) -> str:
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
