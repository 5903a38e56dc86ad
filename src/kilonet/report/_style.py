"""The look every plot shares, and the one way a plot becomes a file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from matplotlib import style
from matplotlib.figure import Figure

from kilonet.atomic import write_atomically

DPI = 150

INK = "#1f2933"
MUTED = "#6b7480"
FAINT = "#e3e7eb"
PAPER = "#ffffff"
# Blue, vermilion and grey of Okabe and Ito's palette: told apart with any colour vision, and in
# print by their markers and dashes.
TRAIN = "#0072b2"
VALIDATION = "#d55e00"
TEST = "#6b7480"

_STYLE: dict[str, Any] = {
    "figure.dpi": DPI,
    "figure.facecolor": PAPER,
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.h_pad": 0.1,
    "figure.constrained_layout.w_pad": 0.1,
    "savefig.dpi": DPI,
    "font.family": "DejaVu Sans",  # comes with Matplotlib, so every machine draws the same
    "font.size": 9.5,
    "text.color": INK,
    "text.parse_math": False,  # a class may be called "$5"
    "axes.edgecolor": MUTED,
    "axes.facecolor": PAPER,
    "axes.labelcolor": MUTED,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlepad": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
}


@contextmanager
def calm() -> Iterator[None]:
    """Draw in this project's style whatever the user's own Matplotlib settings are."""
    with style.context(_STYLE, after_reset=True):
        yield


def save(figure: Figure, path: Path) -> None:
    """Write ``figure`` to ``path`` as a PNG of ``DPI`` dots per inch, whole or not at all.

    Matplotlib's own mark is left out, so that equal figures are equal bytes.
    """
    write_atomically(
        path, lambda file: figure.savefig(file, format="png", metadata={"Software": None})
    )
