"""The layer tables, held by golden files.

``KILONET_REGENERATE_GOLDEN=1 pytest tests/models/test_summary.py`` writes them anew; read the
difference before committing it.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from pathlib import Path

import pytest
from rich.console import Console
from torch import Tensor, nn

from kilonet.models.measure import count_parameters, layers, total_macs
from kilonet.models.summary import summary_table, summary_text

GOLDEN = Path(__file__).parent / "golden"


def block(into: int, out: int, kernel: int = 3) -> nn.Sequential:
    layers = OrderedDict[str, nn.Module](
        conv=nn.Conv2d(into, out, kernel, padding=kernel // 2, bias=False),
        norm=nn.BatchNorm2d(out),
        act=nn.ReLU(),
        drop=nn.Dropout(0.05),
    )
    return nn.Sequential(layers)


def pooled() -> nn.Sequential:
    """A network of 14,210 parameters with a global average pool and a 1×1 classifier."""
    return nn.Sequential(
        OrderedDict[str, nn.Module](
            conv1=block(1, 16),
            conv2=block(16, 16),
            pool1=nn.MaxPool2d(2),
            trans1=block(16, 12, 1),
            conv3=block(12, 28),
            conv4=block(28, 28),
            pool2=nn.MaxPool2d(2),
            trans2=block(28, 32, 1),
            gap=nn.AdaptiveAvgPool2d(1),
            classifier=nn.Conv2d(32, 10, 1),
            flatten=nn.Flatten(),
        )
    )


class Deep(nn.Module):
    """Long names, a layer used twice, a fully connected head."""

    def __init__(self) -> None:
        super().__init__()
        shared = block(4, 4)
        self.a_rather_long_name_of_a_stage = nn.Sequential(nn.Conv2d(1, 4, 1), shared, shared)
        self.head = nn.Linear(4 * 8 * 8, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.a_rather_long_name_of_a_stage(x).flatten(1))


@pytest.mark.parametrize(
    ("name", "model", "shape"),
    [("summary_pooled", pooled(), (1, 28, 28)), ("summary_deep", Deep(), (1, 8, 8))],
)
def test_golden(name: str, model: nn.Module, shape: tuple[int, ...]) -> None:
    path = GOLDEN / f"{name}.txt"
    text = summary_text(model, shape, name.replace("_", " ")) + "\n"
    if os.environ.get("KILONET_REGENERATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def test_columns_add_up_to_the_totals() -> None:
    model = pooled()
    rows = layers(model, (1, 28, 28))
    assert sum(row.parameters for row in rows) == count_parameters(model) == 14_210
    assert sum(row.macs for row in rows) == total_macs(model, (1, 28, 28))


def test_plain_whatever_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    model = pooled()
    expected = summary_text(model, (1, 28, 28), "x")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "40")
    assert summary_text(model, (1, 28, 28), "x") == expected
    assert "\x1b" not in expected
    assert max(map(len, expected.splitlines())) <= 100
    assert all(line == line.rstrip() for line in expected.splitlines())


def test_titles_and_names_are_not_markup() -> None:
    model = nn.Sequential(OrderedDict({"[bold]": nn.ReLU()}))
    text = summary_text(model, (1, 2, 2), "[red]net[/red] :cat:")
    assert text.startswith("[red]net[/red] :cat:\n")
    assert "\n[bold]" in text


def test_table_is_highlighted_on_a_terminal() -> None:
    console = Console(force_terminal=True, color_system="standard", width=100)
    with console.capture() as capture:
        console.print(summary_table(pooled(), (1, 28, 28), "pooled"))
    assert "\x1b[1mpooled" in capture.get()
