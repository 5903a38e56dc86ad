"""The layout of a run's directory: the files' names, their contents, and how they are read.

Every file that is read is checked. A file that is missing or damaged raises a RunError that names
it.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kilonet.content import read_text_file
from kilonet.errors import RunError

FORMAT = 1
"""The version of this layout; ``run.json`` contains it."""

RUN = "run.json"
DATA_KEY = "data"  # the key in run.json with what the network must know about its images
SOURCE_KEY = "source"  # the digest of the code of a network of the user's own
OBJECT_KEY = "network_object"  # whether the network came as an object that the recipe cannot build
CHECKSUMS_KEY = "checksums"  # the key in run.json with the SHA-256 of each file of RESULTS
LOADED_KEY = "loaded"  # the names of tensors that came from training.weights
RECIPE = "recipe.toml"
HISTORY = "history.csv"
STATE = "state.safetensors"
BEST = "best.safetensors"
LAST = "last.safetensors"
ONNX = "model.onnx"
METRICS = "metrics.json"
SUMMARY = "summary.txt"
REPORT_HTML = "report.html"
ROBUSTNESS = "robustness"  # with the endings .json and .png; only after a robustness evaluation
SOURCE = "source"  # a folder; only with the code of a network of the user's own
EVENTS = "tensorboard"  # a folder; only if the recipe asks for it
LOCK = ".lock"

RESULTS = (RECIPE, HISTORY, METRICS, BEST, LAST, ONNX)
"""The files of a finished run that other code reads. They do not change any more."""
OTHER_FILES = (RUN, STATE, SUMMARY, REPORT_HTML, SOURCE, EVENTS, LOCK)

Row = dict[str, float]
"""The figures of an epoch, by name."""


class FileContent(BaseModel):
    """The keys of a JSON file that other code reads; files may have more keys."""

    model_config = ConfigDict(extra="allow", strict=True)


class EnvironmentFacts(FileContent):
    """The machine and versions of a run: the keys that resuming needs."""

    kilonet: str
    commit: str
    device: str
    threads: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,3}$")]


class DataFacts(FileContent):
    """What a network must know about its images."""

    name: str
    title: str
    shape: Annotated[list[int], Field(min_length=3, max_length=3)]
    classes: Annotated[list[str], Field(min_length=2)]
    mean: list[float]
    std: list[float]
    preparation: Literal["ink", "fit"]
    fingerprint: str | None


class RunFacts(FileContent):
    """The content of ``run.json``."""

    format: int
    recipe: str
    fingerprint: str
    created: str
    finished: bool
    data_note: str | None
    environment: EnvironmentFacts
    data: DataFacts | None = None
    checksums: dict[str, str] = {}
    """Of a finished run; runs of earlier versions have none."""


class StoredClassMetrics(FileContent):
    """Metrics of one class on the test split."""

    name: str
    precision: float
    recall: float
    f1: float
    support: int


class StoredTestMetrics(FileContent):
    """Metrics of the evaluated weights on the test split."""

    accuracy: Annotated[float, Field(ge=0, le=1)]
    correct: int
    total: Annotated[int, Field(ge=1)]
    wilson_low: float
    wilson_high: float
    loss: float
    calibration_error: float
    per_class: list[StoredClassMetrics]
    confusion: list[list[int]]


class StoredMetrics(FileContent):
    """The content of ``metrics.json``."""

    parameters: int
    layers: list[str]
    dataset: str
    epochs: int
    best_epoch: int
    stopped_because: str
    test: StoredTestMetrics


def facts_checksum(facts: Mapping[str, Any]) -> str:
    """Return the SHA-256 of ``facts``, the content of ``run.json``, without its checksums."""
    others = {key: value for key, value in facts.items() if key != CHECKSUMS_KEY}
    return hashlib.sha256(json.dumps(others, sort_keys=True).encode("ascii")).hexdigest()


def read_text(path: Path) -> str:
    """Return the UTF-8 text in ``path``.

    Raises:
        RunError: the file is missing, cannot be read, or is not UTF-8.
    """
    try:
        return read_text_file(path)
    except FileNotFoundError:
        raise RunError(f"{path} is missing: the run is not complete.") from None
    except UnicodeDecodeError:
        raise RunError(f"{path} is damaged: it is not UTF-8 text.") from None
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror or error}.") from None


def read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object in ``path``.

    Raises:
        RunError: the file is missing, or is not a JSON object.
    """
    try:
        content = json.loads(read_text(path))
    except (ValueError, RecursionError):
        raise RunError(f"{path} is damaged: it is not JSON.") from None
    if not isinstance(content, dict):
        raise RunError(f"{path} is damaged: it is not a JSON object.")
    return content


def checked(content: dict[str, Any], model: type[FileContent], path: Path) -> dict[str, Any]:
    """Return ``content``, read from ``path``, if it has the keys and types of ``model``.

    Raises:
        RunError: a key is missing or wrong; the message names the first one.
    """
    try:
        model.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        problem = first["msg"][:1].lower() + first["msg"][1:]
        raise RunError(f"{path} is damaged: {key}: {problem}.") from None
    return content


def read_history(path: Path) -> list[Row]:
    """Return one row per epoch from a CSV file of numbers.

    Raises:
        RunError: the file is not such a table, or its epochs are not 1, 2, 3, …
    """
    try:
        # strict: an unclosed quote is an error instead of the rest of the file in one cell
        table = csv.DictReader(io.StringIO(read_text(path)), strict=True)
        rows = list(table)
        history = [{key: float(value) for key, value in row.items()} for row in rows]
    except (csv.Error, ValueError, TypeError):
        raise RunError(f"{path} is damaged: not a table of numbers.") from None
    if "epoch" not in (table.fieldnames or ()):
        raise RunError(f'{path} is damaged: it has no column "epoch".')
    if [row.get("epoch") for row in history] != list(range(1, len(history) + 1)):
        raise RunError(f"{path} is damaged: its epochs are not 1, 2, 3, and so on.")
    return history
