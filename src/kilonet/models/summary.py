"""The layer table of a network."""

from __future__ import annotations

import io
from collections.abc import Iterable

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text
from torch import nn

from kilonet.models.measure import (
    NO_KERNEL,
    LayerRow,
    count_parameters,
    layers,
    parameter_bytes,
    peak_activation_bytes,
    running_statistics,
    shape_text,
    total_macs,
)

WIDTH = 100


def summary_text(model: nn.Module, input_shape: tuple[int, ...], title: str) -> str:
    """Return :func:`summary_table` as plain text without colour, at most 100 characters wide.

    There is no line break at the end and no space at the ends of lines.

    Raises:
        RecipeError: the network cannot process an image of ``input_shape`` (C, H, W).
    """
    buffer = io.StringIO()
    console = Console(file=buffer, width=WIDTH, color_system=None, force_jupyter=False)
    console.print(summary_table(model, input_shape, title))
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines()).strip("\n")


def summary_table(model: nn.Module, input_shape: tuple[int, ...], title: str) -> Table:
    """Return a table with a row for each layer call, for one image of ``input_shape``.

    The title is above the table and the totals are below. Shapes are C×H×W without the batch;
    activation sizes are bytes of float32 for one image. Raises like :func:`summary_text`.
    """
    table = _empty(title)
    for row in layers(model, input_shape):
        table.add_row(*_cells(row))
    table.caption = Text("\n".join(["", *_aligned(_totals(model, input_shape))]))
    return table


def _empty(title: str) -> Table:
    table = Table(
        title=Text(f"{title}\n", style="bold"),
        title_justify="left",
        caption_justify="left",
        caption_style="none",
        box=box.SIMPLE_HEAD,
        collapse_padding=True,  # leaves width for the dotted names of nested layers
        pad_edge=False,
        show_edge=False,
        min_width=80,  # for the totals below
    )
    table.add_column("Layer", overflow="fold")
    table.add_column("Kind", no_wrap=True)
    for heading in ("In C×H×W", "Kernel", "Out C×H×W", "Parameters", "MACs"):
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _cells(row: LayerRow) -> tuple[str, ...]:
    return (
        escape(row.name),
        row.kind,
        shape_text(row.in_shape),
        row.kernel,
        shape_text(row.out_shape),
        _count(row.parameters),
        _count(row.macs),
    )


def _count(number: int) -> str:
    return f"{number:,}" if number else NO_KERNEL


def _totals(model: nn.Module, input_shape: tuple[int, ...]) -> Iterable[tuple[str, int, str]]:
    peak = peak_activation_bytes(model, input_shape)
    stored = parameter_bytes(model)
    return (
        ("Parameters", count_parameters(model), ""),
        ("Running statistics", running_statistics(model), "exempt"),
        ("MACs", total_macs(model, input_shape), "for one image"),
        ("Parameter bytes", stored, _kibibytes(stored)),
        ("Peak activation bytes", peak, f"{_kibibytes(peak)}, a layer's input and output"),
    )


def _aligned(totals: Iterable[tuple[str, int, str]]) -> Iterable[str]:
    return (f"{label:<22}{number:>12,}  {note}".rstrip() for label, number, note in totals)


def _kibibytes(size: int) -> str:
    return f"{size / 1024:.1f} KiB"
