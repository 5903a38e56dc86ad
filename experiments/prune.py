"""Measure how many weights of each shipped network can be set to zero without losing accuracy.

    python experiments/prune.py [MODEL ...]

Pruning by magnitude without training again (Han et al., "Learning both Weights and Connections for
Efficient Neural Networks", 2015): the smallest of all weights, relative to the root mean square of
their layer, become zero, and batch norm's running statistics are recomputed on training images. The
shares in ``SHARES`` are tried in turn until one costs more than ``MAX_LOSS`` of the accuracy on the
training images; the one before it is evaluated once on the test images. Writes
``results/frontier-sparse.json``.
"""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import kilonet
from doc_tables.frontier import read_frontier
from kilonet.data.batches import normalise
from kilonet.data.dataset import Dataset, load_dataset
from kilonet.data.specs import DataInfo
from kilonet.evaluation.metrics import Metrics, measure
from kilonet.evaluation.predict import predict_probabilities
from kilonet.files import write_text
from kilonet.models.measure import count_parameters
from kilonet.workflows.runs import find_run

RESULTS = Path(__file__).resolve().parents[1] / "results" / "frontier-sparse.json"
SHARES = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3)
MAX_LOSS = 0.0002
BATCH, BATCHES = 500, 20  # of training images, for batch norm's statistics


def weights_of(network: nn.Module) -> list[nn.Parameter]:
    """Return the weights of the convolutions and linear layers."""
    return [m.weight for m in network.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]


def pruned(network: nn.Module, share: float) -> nn.Module:
    """Return a copy of ``network`` whose smallest weights, this share of them, are zero."""
    other = copy.deepcopy(network)
    weights = weights_of(other)
    sizes = torch.cat(
        [(w.detach().abs() / w.detach().square().mean().sqrt()).flatten() for w in weights]
    )
    count = round(share * len(sizes))
    kept = torch.ones(len(sizes), dtype=torch.bool)
    kept[sizes.argsort()[:count]] = False
    parts = kept.split([w.numel() for w in weights])
    with torch.no_grad():
        for weight, part in zip(weights, parts, strict=True):
            weight.mul_(part.view_as(weight))
    return other


@torch.no_grad()
def update_norms(network: nn.Module, images: Tensor, info: DataInfo) -> None:
    """Compute batch norm's statistics on the first of ``images``, uint8 N×C×H×W."""
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    before = [norm.momentum for norm in norms]
    network.train()
    for number, batch in enumerate(images[: BATCH * BATCHES].split(BATCH), 1):
        for norm in norms:
            norm.momentum = 1 / number  # the plain average over batches
        network(normalise(batch, info.mean, info.std))
    network.eval()
    for norm, momentum in zip(norms, before, strict=True):
        norm.momentum = momentum


def evaluate(network: nn.Module, images: Tensor, labels: Tensor, info: DataInfo) -> Metrics:
    """Return the metrics of ``network`` on ``images``."""
    probabilities = predict_probabilities(network, images, info.mean, info.std)
    return measure(probabilities, labels.numpy(), info.classes)


def zero_count(network: nn.Module) -> int:
    """Return how many of the stored weights are zero."""
    return sum(int((weight == 0).sum()) for weight in weights_of(network))


def measure_pruning(name: str, data: Dataset) -> dict[str, Any]:
    """Return the effect of pruning on the model ``name``."""
    info, network = find_run(name).data_info, kilonet.load(name)
    train = (data.train_images, data.train_labels, info)
    dense = evaluate(network, *train).accuracy
    best, tried = network, []
    for share in SHARES:
        other = pruned(network, share)
        update_norms(other, data.train_images, info)
        tried.append({"share": share, "train_accuracy": evaluate(other, *train).accuracy})
        if dense - tried[-1]["train_accuracy"] > MAX_LOSS:
            break
        best = other
    test = evaluate(best, data.test_images, data.test_labels, info)
    stored = count_parameters(network)
    return {
        "name": name,
        "stored": stored,
        "nonzero": stored - zero_count(best),
        "train_accuracy": dense,
        "tried": tried,
        "test_correct": test.correct,
        "test_total": test.total,
    }


def main(names: Sequence[str]) -> None:
    """Measure and store the models ``names``, by default those of the frontier."""
    data = load_dataset("mnist")
    entries = []
    for name in names or [budget.name for budget in read_frontier().budgets("mnist")]:
        entries.append(measure_pruning(name, data))
        print(entries[-1], flush=True)
        write_text(RESULTS, json.dumps({"models": entries}, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
