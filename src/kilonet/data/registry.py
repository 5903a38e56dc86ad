"""The registered data sets, which ``registry.toml`` describes."""

from __future__ import annotations

import tomllib
from importlib import resources

from pydantic import TypeAdapter

from kilonet.data.specs import DatasetSpec
from kilonet.errors import UsageError, nearest
from kilonet.recipe.schema import MEMORY


def _read() -> dict[str, DatasetSpec]:
    text = (resources.files("kilonet.data") / "registry.toml").read_text(encoding="utf-8")
    table = {name: {"name": name, **entry} for name, entry in tomllib.loads(text).items()}
    return TypeAdapter(dict[str, DatasetSpec]).validate_python(table)


DATASETS = _read()


def spec(name: str) -> DatasetSpec:
    """Return the description of the data set ``name``."""
    if name in DATASETS:
        return DATASETS[name]
    if name.startswith(MEMORY):
        raise UsageError(
            "These images were given in Python and are stored nowhere. Give them again: data=..."
        )
    raise UsageError(
        f'There is no data set "{name}".{nearest(name, DATASETS)} '
        f"Known data sets: {', '.join(DATASETS)}; your own pictures are folder:PATH."
    )
