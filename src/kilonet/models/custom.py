"""Networks of the user's own: a class in a Python file, named in a recipe as ``module:Class``.

A class is imported only if the user names it. A run stores a copy of the code of its class, so that
the run can be evaluated with this code after the file has changed.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import inspect
import re
import sys
import sysconfig
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from inspect import Parameter
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from kilonet.errors import RecipeError, RunError, UsageError, nearest
from kilonet.recipe.families import CustomConfig, Model

_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)
_EXAMPLE = 'Write "mynet:Net" for the class Net in mynet.py of the current directory.'


Sources = dict[str, bytes]
"""The content of Python files, by the path below their folder."""

_at_import: dict[str, Sources] = {}


def load_class(name: str, folder: Path | None = None) -> type[nn.Module]:
    """Import and return the class ``name``, "package.module:Class".

    ``folder`` (default: the current directory) comes first on the import path during the import.
    A module whose file has changed since it was imported is imported again. The modules in a given
    ``folder`` are imported under their names without replacing loaded ones. The import runs the
    user's own code: call this for names that the user wrote, never for names in files from
    elsewhere.
    """
    if not _NAME.fullmatch(name):
        raise RecipeError(f'"{name}" is not of the form package.module:Class. {_EXAMPLE}')
    module_name, _, class_name = name.partition(":")
    module = _import(module_name, folder)
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
    """Return ``cls(**arguments)``."""
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
    """
    name = model.name
    is_custom = isinstance(model, CustomConfig)
    if is_custom and trusted is None:
        raise RunError(
            f"The network of {folder} is the class {name}, whose code Kilonet does not run because "
            f"of a folder alone. If you trust it, name the class: --model {name}"
        )
    if trusted is not None and trusted != name:
        remedy = f"Give --model {name}" if is_custom else "Leave out --model"
        raise UsageError(f"The network of {folder} is {name}, not {trusted}. {remedy}.")


def source_files(cls: type[nn.Module]) -> Sources:
    """Return the code of ``cls``: its module's file and those beside it that this one imports.

    The paths are relative to their folder. Of the program itself (``__main__``: a script or a
    notebook), only imports, definitions and constants are returned, because the rest is the user's
    experiment. There are no files for an installed package or where the code is unknown.
    """
    if cls.__module__ != "__main__":
        return _files_of(cls.__module__.partition(".")[0])
    text = _definitions_of_main()
    return {f"{_main_name()}.py": text.encode()} if text else {}


def class_name(cls: type[nn.Module]) -> str:
    """Return the name of ``cls`` as recipes write it, ``module:Class``."""
    module = _main_name() if cls.__module__ == "__main__" else cls.__module__
    return f"{module}:{cls.__name__}"


def digest_of(sources: Mapping[str, bytes], structure: str = "") -> str | None:
    """Return 12 hexadecimal digits that identify code, and a structure; None if both are empty."""
    if not sources and not structure:
        return None
    digest = hashlib.sha256(structure.encode())
    for name, content in sorted(sources.items()):
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:12]


def _collect(folder: Path, module: str, found: Sources) -> None:
    """Add the files of the top-level ``module`` in ``folder``, and of those that it imports."""
    package = (folder / module).is_dir()
    files = sorted((folder / module).rglob("*.py")) if package else [folder / f"{module}.py"]
    for file in files:
        name = file.relative_to(folder).as_posix()
        if name in found or not file.is_file():
            continue
        found[name] = file.read_bytes()
        for imported in _imports(found[name]):
            _collect(folder, imported, found)


def _imports(code: bytes) -> Iterable[str]:
    """Return the top-level modules that ``code`` imports by their absolute names."""
    with suppress(SyntaxError, ValueError):
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.Import):
                yield from (alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield node.module.partition(".")[0]


def _is_installed(file: Path) -> bool:
    own = Path(__file__).parents[1]
    folders = [own, *(Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib", "platlib"))]
    return any(file.is_relative_to(folder) for folder in folders)


def _main_name() -> str:
    name = Path(getattr(sys.modules["__main__"], "__file__", "notebook.py")).stem
    return name if name.isidentifier() else "program"


def _definitions_of_main() -> str:
    """Return the imports, definitions and constants of the script or notebook that is running."""
    main = sys.modules["__main__"]
    file, cells = getattr(main, "__file__", None), getattr(main, "In", [])
    texts = [Path(file).read_text(encoding="utf-8")] if file and Path(file).is_file() else cells
    return "\n".join(part for text in texts for part in _definitions(text))


def _definitions(text: str) -> Iterator[str]:
    try:
        body = ast.parse(text).body
    except SyntaxError:  # a notebook's cell with a command
        return
    kinds = (ast.Import, ast.ImportFrom, ast.ClassDef, ast.FunctionDef, ast.Assign, ast.AnnAssign)
    for node in body:
        calls = any(isinstance(part, ast.Call) for part in ast.walk(node))
        if isinstance(node, kinds) and not (calls and isinstance(node, ast.Assign | ast.AnnAssign)):
            yield ast.unparse(node)


def _import(module_name: str, folder: Path | None) -> ModuleType:
    top = module_name.partition(".")[0]
    importlib.invalidate_caches()  # the file may be newer than the import system's cache
    if folder is None:
        _forget_changed(top)
    try:
        with _own_modules(folder) if folder else nullcontext(), _first_on_path(folder):
            module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:  # a script may call sys.exit
        if isinstance(error, ModuleNotFoundError) and _is_part_of(error.name, module_name):
            raise RecipeError(
                f'No module "{module_name}": {error.name} is neither in {folder or Path.cwd()} nor '
                f"installed. {_EXAMPLE}"
            ) from None
        raise RecipeError(f'Importing "{module_name}" failed: {_describe(error)}.') from error
    if folder is None:
        _at_import.setdefault(top, _files_of(top))
    return module


def _forget_changed(top: str) -> None:
    """Let the next import read ``top`` and its neighbours again if their files have changed.

    Python takes bytecode for current if the file has its size and, in seconds, its time.
    """
    before = _at_import.get(top)
    if before is not None and before != _files_of(top):
        del _at_import[top]
        tops = {name.partition("/")[0].removesuffix(".py") for name in before}
        for name in [name for name in sys.modules if name.partition(".")[0] in tops]:
            bytecode = getattr(sys.modules.pop(name).__spec__, "cached", None)
            with suppress(OSError):
                Path(bytecode or "").unlink()


def _files_of(module: str) -> Sources:
    """Return the present code of a loaded top-level ``module``; nothing for an installed one."""
    loaded, found = sys.modules.get(module), Sources()
    path = next(iter(getattr(loaded, "__path__", [])), getattr(loaded, "__file__", None))
    if path is not None and not _is_installed(Path(path)):
        _collect(Path(path).parent, module, found)
    return found


@contextmanager
def _own_modules(folder: Path) -> Iterator[None]:
    """Import the modules in ``folder`` anew and write nothing there; then restore loaded ones."""
    tops = {path.name.removesuffix(".py") for path in folder.iterdir()}

    def taken() -> dict[str, ModuleType]:
        return {name: sys.modules[name] for name in sys.modules if name.partition(".")[0] in tops}

    before, writes_nothing = taken(), sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    try:
        for name in before:
            del sys.modules[name]
        yield
    finally:
        sys.dont_write_bytecode = writes_nothing
        for name in taken():
            del sys.modules[name]
        sys.modules.update(before)


@contextmanager
def _first_on_path(folder: Path | None) -> Iterator[None]:
    entry = str((folder or Path.cwd()).absolute())
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
