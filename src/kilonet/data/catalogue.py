"""What data sets there are and which of them are at hand, without reading any."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kilonet.data.locate import folder_of, locate
from kilonet.data.registry import DATASETS, DatasetSpec


@dataclass(frozen=True)
class CatalogueEntry:
    """One line of the list: ``source`` says where the set was found, None that it was not."""

    name: str
    title: str
    train_count: int
    test_count: int
    licence: str
    source: str | None


def catalogue(data_dir: Path | None = None) -> tuple[CatalogueEntry, ...]:
    """Return one entry per registered data set, in the registry's order."""
    return tuple(
        CatalogueEntry(
            entry.name,
            entry.title,
            entry.train_count,
            entry.test_count,
            entry.licence,
            _source(entry, data_dir),
        )
        for entry in DATASETS.values()
    )


def _source(entry: DatasetSpec, data_dir: Path | None) -> str | None:
    if not entry.files:
        return "scikit-learn"
    files = locate(entry, data_dir)
    return None if files is None else str(folder_of(files))
