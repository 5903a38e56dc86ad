"""Write the report of a run (plots, ``report.html``) or of a study (one page)."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

from kilonet.files import write_text
from kilonet.report import rendering
from kilonet.report.facts import EvaluatedRun, StudyFacts
from kilonet.report.image_grids import mistakes
from kilonet.report.run_plots import confusion_matrix, training_metrics
from kilonet.report.study_plots import study_curves

CURVES = "training_metrics.png"
CONFUSION = "confusion_matrix.png"
MISTAKES = "mistakes.png"
STUDY_CURVES = "accuracy_by_epoch.png"


def write_report(folder: Path, run: EvaluatedRun) -> None:
    """Write the plots and the report of a run into ``folder``, which exists.

    ``report.html`` contains the plots and loads nothing else. Files are written atomically. Equal
    facts give equal bytes.
    """
    outcome, dataset = run.outcome, run.dataset
    targets = (run.recipe.constraints.min_accuracy, run.recipe.training.stop_at_accuracy)
    training_metrics(
        outcome.history,
        folder / CURVES,
        best_epoch=outcome.best_epoch,
        targets=[target for target in targets if target is not None],
    )
    confusion_matrix(run.metrics.confusion, dataset.classes, folder / CONFUSION)
    images, labels = dataset.test_images.numpy(), dataset.test_labels.numpy()
    mistakes(images, labels, run.probabilities, dataset.classes, folder / MISTAKES)
    inlined = {name: data_uri(folder / name) for name in (CURVES, CONFUSION, MISTAKES)}
    write_text(folder / "report.html", rendering.html(run, inlined))


def data_uri(picture: Path) -> str:
    """Return a PNG file as a data URI."""
    return f"data:image/png;base64,{b64encode(picture.read_bytes()).decode('ascii')}"


def write_study_report(path: Path, facts: StudyFacts) -> None:
    """Write the report of a study to ``path``, with its plot inside and as a PNG file beside it.

    The plot of curves needs runs with validation images. Equal facts give equal bytes.
    """
    pictures: dict[str, str] = {}
    if facts.curves:
        study_curves(facts.curves, path.parent / STUDY_CURVES)
        pictures["Accuracy by epoch"] = data_uri(path.parent / STUDY_CURVES)
    write_text(path, rendering.study_html(facts, pictures))
