"""The layer table of a network: shapes, kernels, parameters, multiply-accumulates and totals."""

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
    total_macs,
)

WIDTH = 100


def summary_text(model: nn.Module, input_shape: tuple[int, ...], title: str) -> str:
    """Return :func:`summary_table` as plain text without colour, at most 100 characters wide.

    It ends without a line break and has no spaces at the ends of its lines. Raises ``RecipeError``
    if the network cannot process an image of ``input_shape`` (C, H, W).
    """
    buffer = io.StringIO()
    console = Console(file=buffer, width=WIDTH, color_system=None, force_jupyter=False)
    console.print(summary_table(model, input_shape, title))
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines()).strip("\n")


def summary_table(model: nn.Module, input_shape: tuple[int, ...], title: str) -> Table:
    """Return a table with a row for each layer that one image of ``input_shape`` meets.

    The title stands above it and the totals below. Shapes are C×H×W without the batch; sizes in
    bytes are those of one image, activations in float32. Raises like :func:`summary_text`.
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
        collapse_padding=True,  # width goes to the dotted names of nested layers instead
        pad_edge=False,
        show_edge=False,
        min_width=80,  # the totals below it need that much
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
        _shape(row.in_shape),
        row.kernel,
        _shape(row.out_shape),
        _count(row.parameters),
        _count(row.macs),
    )


def _shape(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) or NO_KERNEL


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
