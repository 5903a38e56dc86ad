"""The picture of a learning-rate range test."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from kilonet.report._curves import title
from kilonet.report._style import INK, TRAIN, calm, save


def range_test(
    rates: Sequence[float], losses: Sequence[float], suggestion: float, path: Path
) -> None:
    """Draw the smoothed training loss against the learning rate as a PNG at ``path``."""
    with calm():
        figure = Figure(figsize=(7.2, 4.2))
        axes = figure.subplots()
        axes.plot(rates, losses, color=TRAIN)
        axes.set_xscale("log")
        axes.set_ylim(0, min(max(losses), 2.5 * losses[0]) * 1.05)
        axes.axvline(suggestion, color=INK, linewidth=1, linestyle=(0, (1, 2.5)))
        axes.annotate(
            f"falls fastest at {suggestion:.2g}", (suggestion, 0.96), (6, 0), fontsize=8.5,
            xycoords=("data", "axes fraction"), textcoords="offset points", color=INK, va="top",
        )  # fmt: skip
        axes.set_xlabel("learning rate")
        axes.grid(axis="y")
        title(axes, "Learning-rate range test", "training loss in nats, smoothed")
        save(figure, path)
