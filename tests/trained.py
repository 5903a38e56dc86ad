"""One run that several folders' tests share, trained once a session, and runs that only look real.

The shared run is that of the command that a newcomer types, on scikit-learn's digits.
"""

from __future__ import annotations

import atexit
import contextlib
import io
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from kilonet.cli.app import run as kilonet
from kilonet.files import write_json
from kilonet.progress import Row
from kilonet.recipe.load import resolve
from kilonet.runs import layout
from kilonet.runs.directory import RunDirectory, new_run
from kilonet.runs.find import open_run

EPOCH_ROW: Row = {
    "epoch": 3,
    "learning_rate": 0.1,
    "train_loss": 0.12345,
    "train_accuracy": 0.96128,
    "images_per_second": 12345.6,
    "validation_loss": 0.05,
    "validation_accuracy": 0.985,
    "seconds": 4.0,
}
EPOCH_LINE = (
    "epoch  3/15  |  train loss 0.1235 accuracy 96.13%  |  "
    "validation loss 0.0500 accuracy 98.50% *  |  12,346 images/s"
)

WORDS = ("data.name=digits", "training.epochs=2", "training.threads=1", "optimizer.lr=0.02")


@dataclass(frozen=True)
class Trained:
    """The directory of a finished run, and what the command line said while it was made."""

    path: Path
    status: int
    stdout: str
    stderr: str

    def copy(self, target: Path) -> Path:
        """Copy the run to ``target``, which tests may then change: without its checksums."""
        shutil.copytree(self.path, target)
        facts = dict(open_run(target).facts)
        del facts[layout.CHECKSUMS_KEY]
        write_json(target / layout.RUN, facts)
        return target


@cache
def trained() -> Trained:
    """Return the shared run, training it at the first call."""
    folder = tempfile.mkdtemp(prefix="kilonet-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = Path(folder) / "quick-1"
    with (
        contextlib.redirect_stdout(io.StringIO()) as stdout,
        contextlib.redirect_stderr(io.StringIO()) as stderr,
    ):
        status = kilonet(["train", "quick", *WORDS, "--out", str(path)])
    return Trained(path, status, stdout.getvalue(), stderr.getvalue())


ENVIRONMENT = {"kilonet": "0.1.0", "commit": "", "device": "cpu", "threads": "1"}


def start_run(
    *words: str,
    recipe: str = "quick",
    path: Path | None = None,
    sources: Mapping[str, bytes] | None = None,
) -> RunDirectory:
    """Return a new run that nothing has been trained in."""
    resolved = resolve(recipe, ["data.name=digits", *words])
    with new_run(resolved, {"data_note": None, "environment": ENVIRONMENT}, path, sources) as run:
        return run


def finish_run(run: RunDirectory, accuracy: float = 0.95, parameters: int = 20_000) -> RunDirectory:
    """Write what a finished run of as many epochs as its recipe has leaves, less the network."""
    epochs = run.recipe().training.epochs
    run.write_history([history_row(epoch, accuracy) for epoch in range(1, epochs + 1)])
    run.write_json(layout.METRICS, figures(accuracy, parameters, epochs))
    return run.update_facts(finished=True)


def history_row(epoch: int, accuracy: float = 0.95) -> dict[str, float]:
    """Return a row of a history; the accuracy is reached in the last epochs."""
    return {
        "epoch": epoch,
        "learning_rate": 0.01,
        "train_loss": 1 / epoch,
        "train_accuracy": accuracy - 0.01,
        "images_per_second": 1000.0,
        "validation_loss": 1 / epoch,
        "validation_accuracy": accuracy,
        "seconds": 1.0,
    }


def figures(accuracy: float, parameters: int, epochs: int) -> dict[str, Any]:
    """Return the content of ``metrics.json``."""
    correct = round(accuracy * 1000)
    entry = {"name": "0", "precision": 1.0, "recall": 1.0, "f1": 1.0, "support": 1000}
    return {
        "parameters": parameters,
        "layers": ["batch-norm", "dropout"],
        "dataset": "digits",
        "epochs": epochs,
        "best_epoch": epochs,
        "stopped_because": f"all {epochs} epochs done",
        "test": {
            "accuracy": correct / 1000,
            "correct": correct,
            "total": 1000,
            "wilson_low": 0.9,
            "wilson_high": 1.0,
            "loss": 0.1,
            "calibration_error": 0.01,
            "per_class": [entry],
            "confusion": [[1000]],
        },
    }
