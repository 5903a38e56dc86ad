"""Find how many weights of each network that ships can be zero at no cost.

    python experiments/prune.py

Pruning by magnitude after training (Han et al., "Learning both Weights and Connections for
Efficient Neural Networks", 2015), without training again: the smallest of all weights, each by its
layer's root mean square, become zero, and batch norm's statistics are taken anew over training
images. Of the shares in ``SHARES`` the largest counts that costs no more than ``COST`` of the
accuracy on the training images, those before it likewise; the test images are looked at once, with
that share. Written to ``results/frontier-sparse.json``.
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
from kilonet.workflows.load import data_info
from kilonet.workflows.run import find_run

RESULTS = Path(__file__).resolve().parents[1] / "results" / "frontier-sparse.json"
SHARES = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3)
COST = 0.0002
PORTION, PORTIONS = 500, 20  # of training images, for batch norm's statistics


def pruned(network: nn.Module, share: float) -> nn.Module:
    """Return a copy of ``network`` in which this share of its weights is zero, the smallest."""
    other = copy.deepcopy(network)
    weights = [m.weight for m in other.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
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
def settle_norms(network: nn.Module, images: Tensor, traits: DataInfo) -> None:
    """Take batch norm's statistics over the first of ``images``, uint8 N×C×H×W."""
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    before = [norm.momentum for norm in norms]
    network.train()
    for number, batch in enumerate(images[: PORTION * PORTIONS].split(PORTION), 1):
        for norm in norms:
            norm.momentum = 1 / number  # the plain average over portions
        network(normalise(batch, traits.mean, traits.std))
    network.eval()
    for norm, momentum in zip(norms, before, strict=True):
        norm.momentum = momentum


def look(network: nn.Module, images: Tensor, labels: Tensor, traits: DataInfo) -> Metrics:
    """Return what ``network`` does on ``images``."""
    probabilities = predict_probabilities(network, images, traits.mean, traits.std)
    return measure(probabilities, labels.numpy(), traits.classes)


def zero_count(network: nn.Module) -> int:
    """Return how many of the stored weights are zero."""
    weights = [m.weight for m in network.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    return sum(int((weight == 0).sum()) for weight in weights)


def thinned(name: str, data: Dataset) -> dict[str, Any]:
    """Return what pruning does to the model of that name."""
    traits, network = data_info(find_run(name)), kilonet.load(name)
    train = (data.train_images, data.train_labels, traits)
    dense = look(network, *train).accuracy
    best, tried = network, []
    for share in SHARES:
        other = pruned(network, share)
        settle_norms(other, data.train_images, traits)
        tried.append({"share": share, "train_accuracy": look(other, *train).accuracy})
        if dense - tried[-1]["train_accuracy"] > COST:
            break
        best = other
    test = look(best, data.test_images, data.test_labels, traits)
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
    """Write the figures of the models of these names, of the frontier's without any."""
    data = load_dataset("mnist")
    entries = []
    for name in names or [budget.name for budget in read_frontier().budgets("mnist")]:
        entries.append(thinned(name, data))
        print(entries[-1], flush=True)
        write_text(RESULTS, json.dumps({"models": entries}, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
