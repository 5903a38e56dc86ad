"""What was measured of exports: ``results/export-*.json``."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, PositiveInt, ValidationError

from kilonet.errors import UsageError


class Layout(BaseModel):
    """Nothing that is not described here."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Verified(Layout):
    """An export beside PyTorch, on the test split (see ``kilonet.exports.verify``)."""

    images: PositiveInt
    same_labels: int
    largest_logit_difference: float
    accuracy: float
    pytorch_accuracy: float
    milliseconds: float
    pytorch_milliseconds: float


class Form(Layout):
    """One form of a network."""

    target: str
    model: str
    bytes: dict[str, PositiveInt]
    budget: dict[str, int]
    verification: Verified
    note: str | None


class Again(Layout):
    """When a form was measured anew, and by which versions."""

    date: str
    environment: dict[str, str]


class Exported(Layout):
    """All forms of one run's network, and what the command printed for the last."""

    recipe: str
    run: str
    parameters: PositiveInt
    epochs: PositiveInt
    forms: list[Form]
    printed: str
    date: str
    environment: dict[str, str]
    again: dict[str, Again] = {}
    """Forms that were measured anew since, by target."""


def read_exported(folder: Path) -> list[Exported]:
    """Return what is in ``folder``, the network of fewest parameters first.

    Raises:
        UsageError: a file is not what ``scripts/measure_exports.py`` writes.
    """
    found = [_read(path) for path in sorted(folder.glob("export-*.json"))]
    return sorted(found, key=lambda exported: exported.parameters)


def _read(path: Path) -> Exported:
    try:
        return Exported.model_validate_json(path.read_text(encoding="utf-8"))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise UsageError(
            f"{path}: {place}: {first['msg']}. Run scripts/measure_exports.py again."
        ) from None
