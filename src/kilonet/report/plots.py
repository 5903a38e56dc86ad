"""The pictures of a run: curves, confusion matrix, mistakes, samples of the data, robustness.

Each is drawn with Matplotlib's object interface, so nothing global is touched, and written as a
PNG of 150 dots per inch, whole or not at all. Equal input gives equal bytes.
"""

from __future__ import annotations

from kilonet.report._confusion import confusion_matrix
from kilonet.report._curves import training_metrics
from kilonet.report._pictures import mistakes, most_confident_mistakes, sample_grid, suspects
from kilonet.report._robustness import robustness

__all__ = [
    "confusion_matrix",
    "mistakes",
    "most_confident_mistakes",
    "robustness",
    "sample_grid",
    "suspects",
    "training_metrics",
]
