"""Reading a run's files: each is what this version wrote, or one error names it."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kilonet.errors import RunError

Row = dict[str, float]


class Record(BaseModel):
    """A table of a run's file: what others read of it; more may be recorded."""

    model_config = ConfigDict(extra="allow", strict=True)


class Environment(Record):
    """What a run ran on; more may be recorded than is needed to go on with it."""

    kilonet: str
    commit: str
    device: str
    threads: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,3}$")]


class DataFacts(Record):
    """What a network must know of its images; more may be recorded."""

    name: str
    title: str
    shape: Annotated[list[int], Field(min_length=3, max_length=3)]
    classes: Annotated[list[str], Field(min_length=2)]
    mean: list[float]
    std: list[float]
    preparation: Literal["ink", "fit"]
    fingerprint: str | None


class Facts(Record):
    """The content of ``run.json``."""

    format: int
    recipe: str
    fingerprint: str
    created: str
    finished: bool
    data_note: str | None
    environment: Environment
    data: DataFacts | None = None


class ClassFigures(Record):
    """How one class of the test split fared."""

    name: str
    precision: float
    recall: float
    f1: float
    support: int


class TestFigures(Record):
    """What the judged weights do on the test split."""

    accuracy: Annotated[float, Field(ge=0, le=1)]
    correct: int
    total: Annotated[int, Field(ge=1)]
    wilson_low: float
    wilson_high: float
    loss: float
    calibration_error: float
    per_class: list[ClassFigures]
    confusion: list[list[int]]


class Figures(Record):
    """The content of ``metrics.json``."""

    parameters: int
    layers: list[str]
    dataset: str
    epochs: int
    best_epoch: int
    stopped_because: str
    test: TestFigures


def read_text(path: Path) -> str:
    """Return the UTF-8 text in ``path``.

    Raises:
        RunError: it is missing, cannot be read, or is no such text.
    """
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise RunError(f"{path} is missing: the run is not complete.") from None
    except UnicodeDecodeError:
        raise RunError(f"{path} is damaged: it is not UTF-8 text.") from None
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror or error}.") from None


def read_json(path: Path) -> dict[str, Any]:
    """Return the JSON table in ``path``.

    Raises:
        RunError: there is none.
    """
    try:
        content = json.loads(read_text(path))
    except (ValueError, RecursionError):
        raise RunError(f"{path} is damaged: it is not JSON.") from None
    if not isinstance(content, dict):
        raise RunError(f"{path} is damaged: it holds no table.")
    return content


def checked(content: dict[str, Any], form: type[Record], path: Path) -> dict[str, Any]:
    """Return ``content``, which was read from ``path``, if it has the keys and types of ``form``.

    Raises:
        RunError: it has not; the message names the first key that is wrong.
    """
    try:
        form.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        what = first["msg"][:1].lower() + first["msg"][1:]
        raise RunError(f"{path} is damaged: {key}: {what}.") from None
    return content


def read_history(path: Path) -> list[Row]:
    """Return a row an epoch from a CSV file of numbers.

    Raises:
        RunError: it is no such table, or its epochs are not 1, 2, 3, …
    """
    try:
        # strict: a quote that is never closed is an error, not the rest of the file in one cell
        table = csv.DictReader(io.StringIO(read_text(path)), strict=True)
        rows = list(table)
        history = [{key: float(value) for key, value in row.items()} for row in rows]
    except (csv.Error, ValueError, TypeError):
        raise RunError(f"{path} is damaged: not a table of numbers.") from None
    if "epoch" not in (table.fieldnames or ()):
        raise RunError(f"{path} is damaged: it has no column of epochs.")
    if [row.get("epoch") for row in history] != list(range(1, len(history) + 1)):
        raise RunError(f"{path} is damaged: its epochs are not counted from 1.")
    return history
