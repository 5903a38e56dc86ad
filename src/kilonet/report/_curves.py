"""Loss and accuracy by epoch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from kilonet.report._style import INK, MUTED, PAPER, TEST, TRAIN, VALIDATION, calm, save

Row = Mapping[str, Any]
Lines = dict[str, npt.NDArray[np.float64]]

TEST_LABEL = "test (recorded, decided nothing)"

_LOOKS = {
    "train": (TRAIN, "-", "o"),
    "validation": (VALIDATION, "-", "s"),
    "test": (TEST, "--", "^"),
}
_MARKERS_UP_TO = 25  # epochs; more of them would hide the lines
# From few ticks to many: the first series that puts three into view is taken.
_TICKS = ((1.0,), (1.0, 2.0, 5.0), (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0))
_LEAST_RANGE = 2.5  # of the y axes, largest over smallest, so that a lone point has some air


def training_metrics(
    history: Sequence[Row],
    path: Path,
    *,
    best_epoch: int | None = None,
    targets: Sequence[float] = (),
) -> None:
    """Draw loss and accuracy by epoch, in training and validation, as a PNG at ``path``.

    ``history`` has one row per epoch with ``epoch``, ``train_loss``, ``train_accuracy`` and,
    where they were measured, ``validation_loss``, ``validation_accuracy`` and ``test_accuracy``
    (accuracies as fractions of 1). ``best_epoch`` is marked: by default the first of the highest
    validation accuracy. ``targets`` are accuracies to draw as lines. Both axes are logarithmic,
    that of accuracy in the share of errors, so that 99.4 and 99.5 % can be told apart.

    Raises ValueError when ``history`` is empty.
    """
    if not history:
        raise ValueError("there is no epoch to draw")
    best = _best(history) if best_epoch is None else best_epoch
    with calm():
        figure = Figure(figsize=(9.6, 4.3))
        left, right = figure.subplots(1, 2, gridspec_kw={"wspace": 0.08})
        _draw_loss(left, history, best)
        _draw_accuracy(right, history, best, targets)
        handles, names = right.get_legend_handles_labels()
        figure.legend(handles, names, loc="outside upper left", ncols=len(names))
        save(figure, path)


def _best(history: Sequence[Row]) -> int:
    accuracies = _column(history, "validation_accuracy")
    return int(history[int(np.nan_to_num(accuracies, nan=-1).argmax())]["epoch"])


def _draw_loss(axes: Axes, history: Sequence[Row], best: int) -> None:
    lines = _lines(history, "loss")
    zero = stand_in_for_zero([*lines.values()])
    _draw_lines(axes, history, lines, best, zero)
    scale(axes, [*lines.values()], zero, lambda loss: f"{loss:g}")
    title(axes, "Loss", "cross-entropy in nats, logarithmic")


def _draw_accuracy(axes: Axes, history: Sequence[Row], best: int, targets: Sequence[float]) -> None:
    lines = {name: 1 - accuracy for name, accuracy in _lines(history, "accuracy").items()}
    errors = [*lines.values(), 1 - np.asarray(targets, dtype=np.float64)]
    zero = stand_in_for_zero(errors)
    _draw_lines(axes, history, lines, best, zero)
    for error in errors[-1]:
        _draw_target(axes, float(error), zero)
    scale(axes, errors, zero, accuracy_of)
    axes.set_ylim(min(axes.get_ylim()[1], 1.0), axes.get_ylim()[0])
    title(axes, "Accuracy", "images right, stretched towards 100 %")


def _draw_lines(axes: Axes, history: Sequence[Row], lines: Lines, best: int, zero: float) -> None:
    epochs = [int(row["epoch"]) for row in history]
    for name, values in lines.items():
        colour, dashes, marker = _LOOKS[name]
        axes.plot(
            epochs, np.maximum(values, zero), dashes, color=colour, marker=marker,
            markersize=5.5 if len(epochs) <= _MARKERS_UP_TO else 0, markeredgecolor=PAPER,
            label=TEST_LABEL if name == "test" else name,
        )  # fmt: skip
    if best in epochs and "validation" in lines:
        height = max(float(lines["validation"][epochs.index(best)]), zero)
        axes.axvline(best, color=MUTED, linewidth=0.9, alpha=0.5, zorder=1)
        axes.plot(
            best, height, "o", markersize=11, markerfacecolor="none", markeredgecolor=INK,
            markeredgewidth=1.3, label=f"best epoch ({best})",
        )  # fmt: skip
    number_epochs(axes, epochs)


def _draw_target(axes: Axes, goal: float, zero: float) -> None:
    axes.axhline(max(goal, zero), color=INK, linewidth=1, linestyle=(0, (1, 2.5)), zorder=1)
    name = axes.annotate(
        f"target {accuracy_of(goal)}", (0, max(goal, zero)), (5, 3), color=INK, fontsize=8.5,
        xycoords=("axes fraction", "data"), textcoords="offset points",
    )  # fmt: skip
    name.set_path_effects([withStroke(linewidth=3, foreground=PAPER)])


def scale(
    axes: Axes,
    columns: Sequence[npt.NDArray[np.float64]],
    zero: float,
    name: Callable[[float], str],
) -> None:
    """Make the y axis logarithmic, around the values, with ticks at round figures."""
    values = np.maximum(np.concatenate(columns), zero)
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    room = max(1.25, (_LEAST_RANGE * low / high) ** 0.5)
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
    """Return round figures between ``low`` and ``high``: three or more where there are as many."""
    decades = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)))
    for steps in _TICKS:
        ticks = [float(d * s) for d in decades for s in steps if low <= d * s <= high]
        if len(ticks) >= 3:
            break
    return ticks


def stand_in_for_zero(columns: Sequence[npt.NDArray[np.float64]]) -> float:
    """Return where a logarithmic axis draws 0: below all else. 0 where it is not needed."""
    values = np.concatenate(columns)
    if not (values <= 0).any():
        return 0.0
    return float(values[values > 0].min(initial=0.01)) / 2


def accuracy_of(error: float) -> str:
    return f"{round(100 - 100 * error, 6):g} %"


def _lines(history: Sequence[Row], what: str) -> Lines:
    """Return the columns of a loss or an accuracy that hold anything."""
    columns = {name: _column(history, f"{name}_{what}") for name in _LOOKS}
    return {name: values for name, values in columns.items() if not np.isnan(values).all()}


def _column(history: Sequence[Row], name: str) -> npt.NDArray[np.float64]:
    """Return one column; NaN, which is not drawn, where a row lacks it."""
    values = (row.get(name) for row in history)
    return np.array([np.nan if v is None else float(v) for v in values])


def number_epochs(axes: Axes, epochs: Sequence[int]) -> None:
    first, last = epochs[0], epochs[-1]
    room = max(0.4, 0.03 * (last - first))
    axes.set_xlim(first - room, last + room)
    step = next(s * 10**k for k in range(9) for s in (1, 2, 5) if last - first <= 10 * s * 10**k)
    axes.set_xticks([e for e in range(first, last + 1) if e % step == 0] or [first])
    axes.set_xlabel("epoch")


def title(axes: Axes, name: str, unit: str) -> None:
    axes.set_title(name)
    axes.set_title(unit, loc="right", color=MUTED, fontsize=8.5, fontweight="normal")
