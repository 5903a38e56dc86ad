"""The recipes that ship with the package, as TOML files: list, read, copy. Needs no Pydantic."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from kilonet.errors import UsageError, nearest
from kilonet.files import write_text

DEFAULT_RECIPE = "fast-99.4"
SUFFIX = ".toml"


def recipe_names() -> list[str]:
    """Return the names of the shipped recipes: the default first, the others sorted."""
    folder = resources.files("kilonet") / "recipes"
    files = [item.name for item in folder.iterdir() if item.name.endswith(SUFFIX)]
    names = [file.removesuffix(SUFFIX) for file in files]
    return sorted(names, key=lambda name: (name != DEFAULT_RECIPE, name))


def recipe_text(name: str) -> str:
    """Return the TOML text of the shipped recipe ``name``."""
    names = recipe_names()
    if name not in names:
        raise UsageError(
            f'There is no recipe "{name}".{nearest(name, names)} '
            '"kilonet recipes" lists them; your own recipe is a path that ends in .toml.'
        )
    return (resources.files("kilonet") / "recipes" / f"{name}{SUFFIX}").read_text(encoding="utf-8")


def copy_recipe(name: str, target: Path) -> Path:
    """Copy the shipped recipe ``name`` to ``target``, a new file or a folder; return the file."""
    text = recipe_text(name)
    try:
        if target.is_dir():
            target = target / f"{name}{SUFFIX}"
        if target.suffix != SUFFIX:
            raise UsageError(f"{target} does not end in {SUFFIX}, as a recipe file must.")
        if target.exists():
            raise UsageError(f"{target} exists already; name another file, or remove it first.")
        write_text(target, text)
    except OSError as error:
        raise UsageError(f"Cannot write {target}: {error.strerror}. Name another file.") from error
    return target
