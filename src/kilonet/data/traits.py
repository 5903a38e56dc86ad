"""What must be known of a data set to use a network that was trained on it, without the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from kilonet.data.specs import DatasetSpec, Preparation


@dataclass(frozen=True)
class Traits:
    """Shape (C, H, W), classes and statistics of a set's images.

    ``fingerprint`` is that of a folder's content, so that another content is noticed; None for a
    published set, which has checksums.
    """

    name: str
    title: str
    shape: tuple[int, int, int]
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    preparation: Preparation = "ink"
    fingerprint: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the fields by name, ready for ``json.dump``."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Traits:
        """Return what ``to_json`` wrote, after it was stored."""
        return cls(**{key: _tuple(value) for key, value in values.items()})

    @classmethod
    def of_published(cls, entry: DatasetSpec) -> Traits:
        """Return those of a registered set that has its statistics in the registry."""
        ones = (1.0,) * entry.shape[0]
        return cls(
            entry.name,
            entry.title,
            entry.shape,
            entry.classes,
            entry.mean or (0.0,) * entry.shape[0],
            entry.std or ones,
            entry.preparation,
        )


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
