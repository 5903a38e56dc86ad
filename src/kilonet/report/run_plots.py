"""Plots of one run: training curves, confusion matrix, learning-rate range test, robustness."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from kilonet.evaluation.distortions import DISTORTIONS, Distortion
from kilonet.evaluation.robustness import Estimate, Robustness
from kilonet.report.formatting import percent
from kilonet.report.style import (
    FAINT,
    INK,
    MUTED,
    PAPER,
    TEST,
    TRAIN,
    VALIDATION,
    accuracy_label,
    plot_style,
    save_figure,
    set_epoch_ticks,
    set_log_scale,
    set_titles,
    zero_substitute,
)

Row = Mapping[str, Any]
Lines = dict[str, npt.NDArray[np.float64]]

TEST_LABEL = "test (recorded only; no decision uses it)"

_LINE_STYLES = {
    "train": (TRAIN, "-", "o"),
    "validation": (VALIDATION, "-", "s"),
    "test": (TEST, "--", "^"),
}
_MAX_MARKERS = 25  # epochs; more markers would hide the lines


def training_metrics(
    history: Sequence[Row],
    path: Path,
    *,
    best_epoch: int | None = None,
    targets: Sequence[float] = (),
) -> None:
    """Draw loss and accuracy by epoch, in training and validation, as a PNG at ``path``.

    ``history`` has one row an epoch with ``epoch``, ``train_loss``, ``train_accuracy`` and,
    where they were measured, ``validation_loss``, ``validation_accuracy`` and ``test_accuracy``
    (accuracies as fractions of 1). ``best_epoch`` is marked (default: the first epoch with the
    highest validation accuracy). ``targets`` are accuracies to draw as lines. Both axes are
    logarithmic; that of accuracy in the error rate, so that 99.4 and 99.5 % differ visibly.

    Raises ValueError when ``history`` is empty.
    """
    if not history:
        raise ValueError("there is no epoch to draw")
    best = _best(history) if best_epoch is None else best_epoch
    with plot_style():
        figure = Figure(figsize=(9.6, 4.3))
        left, right = figure.subplots(1, 2, gridspec_kw={"wspace": 0.08})
        _draw_loss(left, history, best)
        _draw_accuracy(right, history, best, targets)
        handles, names = right.get_legend_handles_labels()
        figure.legend(handles, names, loc="outside upper left", ncols=len(names))
        save_figure(figure, path)


def _best(history: Sequence[Row]) -> int:
    accuracies = _column(history, "validation_accuracy")
    return int(history[int(np.nan_to_num(accuracies, nan=-1).argmax())]["epoch"])


def _draw_loss(axes: Axes, history: Sequence[Row], best: int) -> None:
    lines = _lines(history, "loss")
    zero = zero_substitute([*lines.values()])
    _draw_lines(axes, history, lines, best, zero)
    set_log_scale(axes, [*lines.values()], zero, lambda loss: f"{loss:g}")
    set_titles(axes, "Loss", "cross-entropy in nats, logarithmic")


def _draw_accuracy(axes: Axes, history: Sequence[Row], best: int, targets: Sequence[float]) -> None:
    lines = {name: 1 - accuracy for name, accuracy in _lines(history, "accuracy").items()}
    errors = [*lines.values(), 1 - np.asarray(targets, dtype=np.float64)]
    zero = zero_substitute(errors)
    _draw_lines(axes, history, lines, best, zero)
    for error in errors[-1]:
        _draw_target(axes, float(error), zero)
    set_log_scale(axes, errors, zero, accuracy_label)
    axes.set_ylim(min(axes.get_ylim()[1], 1.0), axes.get_ylim()[0])
    set_titles(axes, "Accuracy", "correct images, logarithmic in the error rate")


def _draw_lines(axes: Axes, history: Sequence[Row], lines: Lines, best: int, zero: float) -> None:
    epochs = [int(row["epoch"]) for row in history]
    for name, values in lines.items():
        colour, dashes, marker = _LINE_STYLES[name]
        axes.plot(
            epochs, np.maximum(values, zero), dashes, color=colour, marker=marker,
            markersize=5.5 if len(epochs) <= _MAX_MARKERS else 0, markeredgecolor=PAPER,
            label=TEST_LABEL if name == "test" else name,
        )  # fmt: skip
    if best in epochs and "validation" in lines:
        height = max(float(lines["validation"][epochs.index(best)]), zero)
        axes.axvline(best, color=MUTED, linewidth=0.9, alpha=0.5, zorder=1)
        axes.plot(
            best, height, "o", markersize=11, markerfacecolor="none", markeredgecolor=INK,
            markeredgewidth=1.3, label=f"best epoch ({best})",
        )  # fmt: skip
    set_epoch_ticks(axes, epochs)


def _draw_target(axes: Axes, target: float, zero: float) -> None:
    axes.axhline(max(target, zero), color=INK, linewidth=1, linestyle=(0, (1, 2.5)), zorder=1)
    name = axes.annotate(
        f"target {accuracy_label(target)}", (0, max(target, zero)), (5, 3), color=INK, fontsize=8.5,
        xycoords=("axes fraction", "data"), textcoords="offset points",
    )  # fmt: skip
    name.set_path_effects([withStroke(linewidth=3, foreground=PAPER)])


def _lines(history: Sequence[Row], what: str) -> Lines:
    """Return the columns of a loss or an accuracy that have values."""
    columns = {name: _column(history, f"{name}_{what}") for name in _LINE_STYLES}
    return {name: values for name, values in columns.items() if not np.isnan(values).all()}


def _column(history: Sequence[Row], name: str) -> npt.NDArray[np.float64]:
    """Return one column; NaN, which is not drawn, where a row has no value."""
    values = (row.get(name) for row in history)
    return np.array([np.nan if v is None else float(v) for v in values])


_MISTAKES = LinearSegmentedColormap.from_list("mistakes", ["#fdf1e7", "#f0a868", "#b34700"])
_MIN_SLANTED = 4  # characters of a class name, from which labels are slanted


def confusion_matrix(matrix: Sequence[Sequence[int]], classes: Sequence[str], path: Path) -> None:
    """Draw the counts of ``matrix``, a row per true class, as a PNG at ``path``.

    The diagonal (correct predictions) is grey. Mistakes are coloured by the logarithm of their
    number, so that they stand out. Cells without an image stay empty.
    """
    counts = np.asarray(matrix, dtype=np.int64)
    side = 2.2 + 0.46 * len(classes)
    with plot_style():
        figure = Figure(figsize=(side + 0.4, side))
        axes = figure.subplots()
        _draw_cells(axes, counts)
        _name_axes(axes, classes)
        correct, total = int(np.trace(counts)), int(counts.sum())
        axes.set_title(f"{total - correct:,} of {total:,} images misclassified", pad=14)
        save_figure(figure, path)


def _draw_cells(axes: Axes, counts: npt.NDArray[np.int64]) -> None:
    mistakes = np.where(np.eye(len(counts), dtype=bool), 0, counts)
    highest = max(int(mistakes.max(initial=0)), 10)  # one or two mistakes get a light colour
    shades = np.ma.masked_equal(mistakes, 0)
    axes.imshow(shades, cmap=_MISTAKES, norm=LogNorm(1, highest))
    for row, column in np.argwhere(counts):
        count, on_diagonal = int(counts[row, column]), row == column
        if on_diagonal:
            axes.fill_between([column - 0.5, column + 0.5], row - 0.5, row + 0.5, color=FAINT, lw=0)
        dark = not on_diagonal and count > highest**0.8
        colour = MUTED if on_diagonal else PAPER if dark else INK
        axes.text(column, row, f"{count:,}", ha="center", va="center", color=colour,
                  fontsize=9 if count < 10_000 else 7)  # fmt: skip


def _name_axes(axes: Axes, classes: Sequence[str]) -> None:
    positions = range(len(classes))
    axes.set_xticks(positions, classes)
    if max(map(len, classes)) >= _MIN_SLANTED:
        for name in axes.get_xticklabels():
            name.set(rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(positions, classes)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    edges = np.arange(len(classes) + 1) - 0.5
    axes.set_xticks(edges, minor=True)
    axes.set_yticks(edges, minor=True)
    axes.grid(which="minor", color=FAINT, linewidth=0.8)
    axes.tick_params(which="minor", length=0)


def range_test(
    rates: Sequence[float], losses: Sequence[float], suggestion: float, path: Path
) -> None:
    """Draw the smoothed training loss against the learning rate as a PNG at ``path``."""
    with plot_style():
        figure = Figure(figsize=(7.2, 4.2))
        axes = figure.subplots()
        axes.plot(rates, losses, color=TRAIN)
        axes.set_xscale("log")
        axes.set_ylim(0, min(max(losses), 2.5 * losses[0]) * 1.05)
        axes.axvline(suggestion, color=INK, linewidth=1, linestyle=(0, (1, 2.5)))
        axes.annotate(
            f"steepest descent at {suggestion:.2g}", (suggestion, 0.96), (6, 0), fontsize=8.5,
            xycoords=("data", "axes fraction"), textcoords="offset points", color=INK, va="top",
        )  # fmt: skip
        axes.set_xlabel("learning rate")
        axes.grid(axis="y")
        set_titles(axes, "Learning-rate range test", "training loss in nats, smoothed")
        save_figure(figure, path)


LineStyle: TypeAlias = tuple[str, str, str, str, float]
"""Name, colour, dashes, marker, marker size."""

_COLUMNS = 4
_ALONE: LineStyle = ("network alone", TRAIN, "-", "o", 5.0)
_PREPARED: LineStyle = ("with picture preparation", VALIDATION, "--", "s", 7.5)


def robustness(result: Robustness, path: Path) -> None:
    """Draw accuracy against distortion strength as a PNG at ``path``, one panel for each kind.

    All panels share one scale. Each line includes the undistorted images. The legend has the means
    over the grid.
    """
    with plot_style():
        rows = -(-len(DISTORTIONS) // _COLUMNS)
        figure = Figure(figsize=(10.4, 0.7 + 2.5 * rows))
        panels = figure.subplots(rows, _COLUMNS, sharey=True, squeeze=False)
        for axes, kind in zip(panels.flat, DISTORTIONS, strict=False):
            _draw_distortion(axes, kind, result)
        for axes in panels[:, 0]:
            axes.set_ylabel("correct images")
        handles, names = panels.flat[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside upper left", ncols=len(names))
        save_figure(figure, path)


def _draw_distortion(axes: Axes, kind: Distortion, result: Robustness) -> None:
    points = [(kind.neutral, result.undistorted)]
    points += [(cell.strength, cell) for cell in result.of(kind.name)]
    points.sort(key=lambda point: point[0])
    strengths = [strength for strength, _ in points]
    # The lines often coincide: the larger markers are drawn first, so that both stay visible.
    _line(axes, strengths, [c.read / result.images for _, c in points], _PREPARED, result.read)
    _line(axes, strengths, [c.alone / result.images for _, c in points], _ALONE, result.alone)
    axes.set_title(kind.name.capitalize())
    axes.set_ylim(0, 1.05)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y")
    if kind.unit:
        axes.set_xticks(strengths, [f"{strength:g}".replace("-", "−") for strength in strengths])
        axes.set_xlabel(kind.unit)
    else:
        axes.set_xticks(strengths, ["no", "yes"])
        axes.set_xlim(-0.3, 1.3)


def _line(
    axes: Axes, strengths: Sequence[float], rates: Sequence[float], line: LineStyle, share: Estimate
) -> None:
    name, colour, dashes, marker, size = line
    axes.plot(
        strengths, rates, dashes, color=colour, marker=marker, markersize=size,
        markeredgecolor=PAPER, label=f"{name}: {percent(share.mean, 1)} on average",
    )  # fmt: skip
