"""A run's report: three pictures, ``report.md`` and a self-contained ``report.html``."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

from kilonet.atomic import write_text
from kilonet.report import _render, plots
from kilonet.report.facts import ReportFacts

__all__ = ["ReportFacts", "write_report"]

CURVES = "training_metrics.png"
CONFUSION = "confusion_matrix.png"
MISTAKES = "mistakes.png"


def write_report(folder: Path, facts: ReportFacts) -> None:
    """Write pictures and report of a run into ``folder``, which exists.

    ``report.html`` has the pictures inside and asks nothing of a network; ``report.md`` refers to
    those beside it. Each file is whole or absent, and equal facts give equal bytes.
    """
    plots.training_metrics(
        facts.history, folder / CURVES, best_epoch=facts.best_epoch, targets=facts.targets
    )
    plots.confusion_matrix(facts.metrics.confusion, facts.classes, folder / CONFUSION)
    plots.mistakes(
        facts.test_images,
        facts.test_labels,
        facts.probabilities,
        facts.classes,
        folder / MISTAKES,
    )
    names = (CURVES, CONFUSION, MISTAKES)
    write_text(folder / "report.md", _render.markdown(facts, dict(zip(names, names, strict=True))))
    inlined = {name: data_uri(folder / name) for name in names}
    write_text(folder / "report.html", _render.html(facts, inlined))


def data_uri(picture: Path) -> str:
    """Return a PNG file as the address of an image inside a page."""
    return f"data:image/png;base64,{b64encode(picture.read_bytes()).decode('ascii')}"
