"""The torchsummary layout, held by the table that a page published for the same layers."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn
from torch.nn import functional as F

from kilonet.models.summary import torchsummary_text

PUBLISHED = Path(__file__).parent / "golden" / "torchsummary_stacked_1x1.txt"


class Stacked(nn.Module):
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


def test_reproduces_the_published_table() -> None:
    expected = PUBLISHED.read_text(encoding="utf-8")
    assert torchsummary_text(Stacked(), (1, 28, 28)) + "\n" == expected


def test_frozen_parameters_and_large_numbers() -> None:
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


def test_shared_parameters_count_once() -> None:
    layer = nn.Linear(4, 4)
    text = torchsummary_text(nn.Sequential(layer, nn.ReLU(), layer), (4,))
    assert "Total params: 20\n" in text
    assert text.count(" 20\n") == 3  # its first row, the total, the trainable total
