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
from torch.nn import functional as F

from kilonet.models.measure import count_parameters, layers, total_macs
from kilonet.models.summary import summary_table, summary_text, torchsummary_text

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


PUBLISHED = Path(__file__).parent / "golden" / "torchsummary_stacked_1x1.txt"


class PublishedStacked(nn.Module):
    """The layers of the published table, nonlinearities and log-softmax as plain functions."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 8, 3, padding=1)
        self.pool = nn.MaxPool2d(2)  # one module, two uses: two rows
        self.second = nn.Conv2d(8, 16, 3, padding=1)
        self.reduce = nn.Conv2d(16, 8, 1)
        self.third = nn.Sequential(nn.Conv2d(8, 16, 3, padding=1), nn.Conv2d(16, 16, 1))
        self.fourth = nn.Sequential(nn.Conv2d(16, 32, 3, padding=1), nn.Conv2d(32, 32, 1))
        self.classifier = nn.Linear(32 * 7 * 7, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(F.relu(self.first(x)))
        x = self.reduce(self.pool(F.relu(self.second(x))))
        x = self.fourth(self.third(x))
        return F.log_softmax(self.classifier(x.flatten(1)), dim=1)


def test_torchsummary_reproduces_the_published_table() -> None:
    expected = PUBLISHED.read_text(encoding="utf-8")
    assert torchsummary_text(PublishedStacked(), (1, 28, 28)) + "\n" == expected


def test_torchsummary_of_frozen_parameters_and_large_numbers() -> None:
    """The expected lines are what torchsummary 1.5.1 prints for this network."""
    network = nn.Sequential(
        nn.Conv2d(1, 8, 3, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(26 * 26 * 8, 1000),
        nn.LogSoftmax(1),
    )
    network[0].weight.requires_grad_(False)
    lines = torchsummary_text(network, (1, 28, 28)).splitlines()
    assert lines[4] == "       BatchNorm2d-2            [-1, 8, 26, 26]              16"
    assert lines[7] == "            Linear-5                 [-1, 1000]       5,409,000"
    assert lines[8] == "        LogSoftmax-6                 [-1, 1000]               0"
    assert lines[10:13] == [
        "Total params: 5,409,088",
        "Trainable params: 5,409,016",
        "Non-trainable params: 72",
    ]
    assert lines[15:18] == [
        "Forward/backward pass size (MB): 0.18",
        "Params size (MB): 20.63",
        "Estimated Total Size (MB): 20.82",
    ]


def test_torchsummary_counts_shared_parameters_once() -> None:
    layer = nn.Linear(4, 4)
    text = torchsummary_text(nn.Sequential(layer, nn.ReLU(), layer), (4,))
    assert "Total params: 20\n" in text
    assert text.count(" 20\n") == 3  # its first row, the total, the trainable total
