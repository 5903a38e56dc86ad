"""The layer table in the layout of the torchsummary package, for comparison with published ones.

Widths, rules and wording are those of torchsummary 1.5, and so is its arithmetic: four bytes a
value, megabytes of 2^20 bytes, every output counted twice (once for its gradient). It differs in
two things: modules that contain others have no row, so no output is counted twice over, and
parameters that several modules share are counted once.
"""

from __future__ import annotations

import math

from torch import nn

from kilonet.models.measure import LayerRow, layers

_WIDTH = 64
_ROW = "{:>20}  {:>25} {:>15}"
_BYTES_PER_VALUE = 4
_MEGABYTE = 2**20


def torchsummary_text(model: nn.Module, input_shape: tuple[int, ...]) -> str:
    """Return the table for one image of ``input_shape`` (C, H, W), without a final line break.

    What plain functions do (``F.relu``) has no row. Raises ``RecipeError`` if the network cannot
    process such an image.
    """
    rows = layers(model, input_shape)
    parts = [_table(rows), _parameters(model), _memory(model, rows, input_shape)]
    return "\n".join(line for part in parts for line in part)


def _table(rows: list[LayerRow]) -> list[str]:
    return [
        "-" * _WIDTH,
        _ROW.format("Layer (type)", "Output Shape", "Param #"),
        "=" * _WIDTH,
        *(_line(number, row) for number, row in enumerate(rows, 1)),
        "=" * _WIDTH,
    ]


def _line(number: int, row: LayerRow) -> str:
    return _ROW.format(f"{row.kind}-{number}", str([-1, *row.out_shape]), f"{row.parameters:,}")


def _parameters(model: nn.Module) -> list[str]:
    total = _numbers(model)
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return [
        f"Total params: {total:,}",
        f"Trainable params: {trainable:,}",
        f"Non-trainable params: {total - trainable:,}",
        "-" * _WIDTH,
    ]


def _memory(model: nn.Module, rows: list[LayerRow], input_shape: tuple[int, ...]) -> list[str]:
    image = _megabytes(math.prod(input_shape))
    passes = _megabytes(2 * sum(math.prod(row.out_shape) for row in rows))
    stored = _megabytes(_numbers(model))
    return [
        f"Input size (MB): {image:.2f}",
        f"Forward/backward pass size (MB): {passes:.2f}",
        f"Params size (MB): {stored:.2f}",
        f"Estimated Total Size (MB): {image + passes + stored:.2f}",
        "-" * _WIDTH,
    ]


def _numbers(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def _megabytes(values: int) -> float:
    return values * _BYTES_PER_VALUE / _MEGABYTE
