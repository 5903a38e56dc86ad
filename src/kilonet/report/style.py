"""The style that all plots share, axes on a logarithmic scale, and writing a figure to a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from kilonet.files import write_atomically

DPI = 150

INK = "#1f2933"
MUTED = "#6b7480"
FAINT = "#e3e7eb"
PAPER = "#ffffff"
# Blue, vermilion and grey of Okabe and Ito's palette, which work with any colour vision. In print,
# markers and dashes distinguish the lines.
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

_MIN_RANGE = 2.5  # largest over smallest value of a y axis, so that a single point has some space
# Tick series from few ticks to many: the first one with three ticks in view is used.
_TICKS = ((1.0,), (1.0, 2.0, 5.0), (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0))


@contextmanager
def plot_style() -> Iterator[None]:
    """Use this project's plot style, whatever the user's own Matplotlib settings are."""
    with style.context(_STYLE, after_reset=True):
        yield


def save_figure(figure: Figure, path: Path) -> None:
    """Write ``figure`` to ``path`` as a PNG of ``DPI`` dots per inch, atomically.

    The name of the software is not stored, so that equal figures give equal bytes.
    """
    write_atomically(
        path, lambda file: figure.savefig(file, format="png", metadata={"Software": None})
    )


def set_titles(axes: Axes, name: str, unit: str) -> None:
    """Write ``name`` above the axes on the left and ``unit`` on the right."""
    axes.set_title(name)
    axes.set_title(unit, loc="right", color=MUTED, fontsize=8.5, fontweight="normal")


def set_epoch_ticks(axes: Axes, epochs: Sequence[int]) -> None:
    """Set the x axis to ``epochs`` with ticks at whole, round numbers."""
    first, last = epochs[0], epochs[-1]
    room = max(0.4, 0.03 * (last - first))
    axes.set_xlim(first - room, last + room)
    step = next(s * 10**k for k in range(9) for s in (1, 2, 5) if last - first <= 10 * s * 10**k)
    axes.set_xticks([e for e in range(first, last + 1) if e % step == 0] or [first])
    axes.set_xlabel("epoch")


def set_log_scale(
    axes: Axes,
    columns: Sequence[npt.NDArray[np.float64]],
    zero: float,
    name: Callable[[float], str],
) -> None:
    """Make the y axis logarithmic, around the values of ``columns``, with ticks at round numbers.

    ``zero`` is where 0 is drawn (see ``zero_substitute``); ``name`` formats a tick's label.
    """
    values = np.maximum(np.concatenate(columns), zero)
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    room = max(1.25, (_MIN_RANGE * low / high) ** 0.5)
    axes.set_yscale("log")
    axes.set_ylim(low / room, high * room)
    ticks = _ticks(low / room, high * room)
    if low == zero:
        ticks = [zero] + [tick for tick in ticks if tick > 1.6 * zero]
    labels = [name(0.0 if tick == zero else tick) for tick in ticks]
    axes.yaxis.set_major_locator(FixedLocator(ticks))
    axes.yaxis.set_major_formatter(FixedFormatter(labels))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.grid(axis="y")


def _ticks(low: float, high: float) -> list[float]:
    """Return round numbers between ``low`` and ``high``, at least three if possible."""
    decades = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)))
    for steps in _TICKS:
        ticks = [float(d * s) for d in decades for s in steps if low <= d * s <= high]
        if len(ticks) >= 3:
            break
    return ticks


def zero_substitute(columns: Sequence[npt.NDArray[np.float64]]) -> float:
    """Return the value at which a logarithmic axis draws 0: below all others; 0 if none is 0."""
    values = np.concatenate(columns)
    if not (values <= 0).any():
        return 0.0
    return float(values[values > 0].min(initial=0.01)) / 2


def accuracy_label(error: float) -> str:
    """Return the label of an error rate on an accuracy axis, such as "99.4 %"."""
    return f"{round(100 - 100 * error, 6):g} %"
