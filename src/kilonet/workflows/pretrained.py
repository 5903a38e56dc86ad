"""A trained network as a folder that says what it is, and back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from kilonet.errors import RunError, UsageError
from kilonet.exports.huggingface.config import CONFIG, MODEL_TYPE
from kilonet.exports.huggingface.folder import CARD, folder_files, pretrained_of
from kilonet.exports.huggingface.pretrained import (
    WEIGHTS,
    Pretrained,
    is_pretrained_folder,
    read_pretrained,
)
from kilonet.files import write_bytes
from kilonet.runs import layout
from kilonet.runs.directory import RunDirectory
from kilonet.workflows.load import load
from kilonet.workflows.run import Run, find_run

if TYPE_CHECKING:
    from kilonet.workflows.classifier import Classifier


def save_pretrained(
    source: str | Path | Run | Classifier, folder: str | Path, *, model: str | None = None
) -> Path:
    """Write a trained network to ``folder`` as the Hugging Face hub holds them; return the folder.

    ``source`` is a finished run (itself, its name or its path), a model that ships, or a fitted
    ``Classifier``. The folder then holds ``config.json``, ``model.safetensors``, a model card
    ``README.md`` with the hub's metadata, and the recipe of a run. ``kilonet.load`` and
    ``Classifier.from_pretrained`` read it. Nothing needs the network. ``model`` is the run's own
    class where it has one.

    Raises:
        UsageError: there is no such run, or the classifier was not fitted.
        RunError: the run is unfinished or damaged, or ``folder`` holds something else or cannot be
            written.
    """
    of, run = _trained(source, model)
    files = folder_files(of, run)
    target = Path(folder)
    _require_ours(target)
    try:
        target.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            write_bytes(target / name, content)
    except OSError as error:
        raise RunError(
            f"Cannot write to {target}: {error.strerror or error}. Name another folder."
        ) from error
    return target


def find_pretrained(source: str | Path | Run, model: str | None = None) -> Pretrained:
    """Return the network of a folder that ``save_pretrained`` made, or of a run.

    Raises:
        UsageError: there is neither.
        RunError, CheckpointError: it is damaged, unfinished, or of another kind.
    """
    if not isinstance(source, Run) and is_pretrained_folder(Path(source)):
        return read_pretrained(Path(source), model)
    run = find_run(source)
    return pretrained_of(run.directory, load(run, model=model))


def _trained(
    source: str | Path | Run | Classifier, model: str | None
) -> tuple[Pretrained, RunDirectory | None]:
    if isinstance(source, str | Path | Run):
        run = find_run(source)
        return pretrained_of(run.directory, load(run, model=model)), run.directory
    of = getattr(source, "pretrained_", None)
    if not isinstance(of, Pretrained):
        raise UsageError(
            f"save_pretrained was given a {type(source).__name__} that holds no trained network. "
            "Give a finished run, the name of one, or a Classifier after fit."
        )
    return of, None


def _require_ours(folder: Path) -> None:
    """Check that no file of another's in ``folder`` would be replaced."""
    theirs = [name for name in (CONFIG, WEIGHTS, CARD, layout.RECIPE) if (folder / name).exists()]
    if theirs and not _is_ours(folder):
        raise RunError(
            f"{folder} holds a {theirs[0]} that save_pretrained did not write. Name a folder that "
            "is new, empty, or an earlier one of its own."
        )


def _is_ours(folder: Path) -> bool:
    try:
        content = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.get("model_type") == MODEL_TYPE
