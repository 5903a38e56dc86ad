"""Write the report of a run (plots, ``report.html``) or of a study (one page)."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from kilonet.evaluation.metrics import CALIBRATION_BINS, Metrics
from kilonet.files import write_text
from kilonet.models.measure import shape_text
from kilonet.recipe.fingerprint import to_toml
from kilonet.report import sentences
from kilonet.report.facts import EvaluatedRun, StudyFacts
from kilonet.report.formatting import (
    Column,
    Table,
    count,
    duration,
    percent,
    size,
)
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
    write_text(folder / "report.html", run_html(run, inlined))


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
    write_text(path, study_html(facts, pictures))


def run_html(run: EvaluatedRun, pictures: Mapping[str, str]) -> str:
    """Return the report as one HTML page. ``pictures`` maps file names to ``src`` values."""
    return _render("report.html.j2", _content(run, pictures))


def study_html(facts: StudyFacts, pictures: Mapping[str, str]) -> str:
    """Return a study's report as one HTML page. ``pictures`` maps names to ``src`` values."""
    return _render("study.html.j2", {"facts": facts, "pictures": pictures})


def _render(template: str, content: Mapping[str, Any]) -> str:
    environment = Environment(
        loader=PackageLoader("kilonet.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"percent": percent, "count": count, "size": size}
    return environment.get_template(template).render(content)


def _content(run: EvaluatedRun, pictures: Mapping[str, str]) -> dict[str, Any]:
    metrics = run.metrics
    confused = sentences.confusions(metrics, run.dataset.classes)
    return {
        "run": run,
        "recipe_text": to_toml(run.recipe),
        "answer": sentences.answer(run),
        "accuracy": percent(metrics.accuracy),
        "headline": _headline(run),
        "curves": {"src": pictures["training_metrics.png"], "alt": sentences.curves(run)},
        "confusion": {"src": pictures["confusion_matrix.png"], "alt": confused},
        "mistakes": {"src": pictures["mistakes.png"], "alt": sentences.mistakes(run)},
        "epochs": _epoch_table(run),
        "per_class": _class_table(metrics),
        "layers": _layer_table(run),
        "environment": _environment_table(run),
        "checks": sentences.checks(run),
        "calibration_bins": CALIBRATION_BINS,
    }


def _headline(run: EvaluatedRun) -> list[tuple[str, str, str]]:
    """Return the main figures: name, value and a remark."""
    metrics, outcome = run.metrics, run.outcome
    best = f"best on validation: {outcome.best_epoch}"
    return [
        ("test accuracy", percent(metrics.accuracy), sentences.interval(metrics)),
        ("parameters", f"{run.parameters:,}", f"{run.macs:,} MACs an image"),
        ("epochs", str(len(outcome.history)), best if run.validated else "no validation images"),
        ("training", duration(run.seconds), outcome.stopped_because),
    ]


_EPOCH_COLUMNS: dict[str, tuple[str, Callable[[float], str]]] = {
    "learning_rate": ("learning rate", lambda rate: f"{rate:.3g}"),
    "train_loss": ("train loss", lambda loss: f"{loss:.4f}"),
    "train_accuracy": ("train accuracy", percent),
    "validation_loss": ("validation loss", lambda loss: f"{loss:.4f}"),
    "validation_accuracy": ("validation accuracy", percent),
    "test_accuracy": ("test accuracy (recorded only; no decision uses it)", percent),
    "seconds": ("seconds", lambda seconds: f"{seconds:.1f}"),
    "images_per_second": ("images/s", lambda speed: f"{speed:,.0f}"),
}


def _epoch_table(run: EvaluatedRun) -> Table:
    """Return a row an epoch, without columns that are always empty; the best epoch is marked."""
    history, best = run.outcome.history, run.outcome.best_epoch
    shown = [n for n in _EPOCH_COLUMNS if any(row.get(n) is not None for row in history)]
    headings = [_EPOCH_COLUMNS[name][0] for name in shown]
    rows = [[str(row["epoch"]), *(_cell(row, name) for name in shown)] for row in history]
    numbers = [int(row["epoch"]) for row in history]
    marked = numbers.index(best) if best in numbers else None
    return Table([Column("epoch"), *map(Column, headings)], rows, marked)


def _class_table(metrics: Metrics) -> Table:
    """Return precision, recall and F1 of each class."""
    headings = [
        Column("class", figures=False),
        *map(Column, ("images", "precision", "recall", "F1")),
    ]
    rows = [
        [c.name, count(c.support), percent(c.precision), percent(c.recall), percent(c.f1)]
        for c in metrics.per_class
    ]
    return Table(headings, rows)


def _layer_table(run: EvaluatedRun) -> Table:
    """Return a row a layer, and the totals."""
    names = ("layer", "in (C×H×W)", "kernel", "out (C×H×W)")
    columns = [Column(name, figures=False) for name in names]
    rows = [
        [
            *(row.name, shape_text(row.in_shape), row.kernel, shape_text(row.out_shape)),
            *(count(row.parameters), count(row.macs)),
        ]
        for row in run.layers
    ]
    rows.append(["total", "", "", "", count(run.parameters), count(run.macs)])
    return Table([*columns, Column("parameters"), Column("MACs")], rows, len(rows) - 1)


def _environment_table(run: EvaluatedRun) -> Table:
    """Return the environment of the run."""
    columns = [Column("what", figures=False), Column("value", figures=False)]
    return Table(columns, [[name, value] for name, value in run.facts["environment"].items()])


def _cell(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    return "" if value is None else _EPOCH_COLUMNS[name][1](float(value))
