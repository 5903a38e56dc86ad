"""Accuracy against strength, a panel for each kind of distortion."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kilonet.evaluation.distortions import DISTORTIONS, Distortion
from kilonet.evaluation.robustness import Estimate, Robustness
from kilonet.report._style import PAPER, TRAIN, VALIDATION, calm, save
from kilonet.report.words import percent

Look: TypeAlias = tuple[str, str, str, str, float]
"""Name, colour, dashes, marker and its size."""

_COLUMNS = 4
_ALONE: Look = ("network alone", TRAIN, "-", "o", 5.0)
_READ: Look = ("read as a picture", VALIDATION, "--", "s", 7.5)


def robustness(found: Robustness, path: Path) -> None:
    """Draw accuracy against strength as a PNG at ``path``, a panel a kind, all on one scale.

    Each line goes through the undistorted images too. The legend has the means over the grid.
    """
    with calm():
        rows = -(-len(DISTORTIONS) // _COLUMNS)
        figure = Figure(figsize=(10.4, 0.7 + 2.5 * rows))
        panels = figure.subplots(rows, _COLUMNS, sharey=True, squeeze=False)
        for axes, kind in zip(panels.flat, DISTORTIONS, strict=False):
            _draw(axes, kind, found)
        for axes in panels[:, 0]:
            axes.set_ylabel("images read right")
        handles, names = panels.flat[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside upper left", ncols=len(names))
        save(figure, path)


def _draw(axes: Axes, kind: Distortion, found: Robustness) -> None:
    places = [(kind.neutral, found.undistorted)]
    places += [(cell.strength, cell) for cell in found.of(kind.name)]
    places.sort(key=lambda place: place[0])
    strengths = [strength for strength, _ in places]
    # The lines often coincide: the broader marks lie beneath, and both are seen.
    _line(axes, strengths, [c.read / found.images for _, c in places], _READ, found.read)
    _line(axes, strengths, [c.alone / found.images for _, c in places], _ALONE, found.alone)
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
    axes: Axes, strengths: Sequence[float], rates: Sequence[float], look: Look, share: Estimate
) -> None:
    name, colour, dashes, marker, size = look
    axes.plot(
        strengths, rates, dashes, color=colour, marker=marker, markersize=size,
        markeredgecolor=PAPER, label=f"{name}: {percent(share.mean, 1)} on average",
    )  # fmt: skip
