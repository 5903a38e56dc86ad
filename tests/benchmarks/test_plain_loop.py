"""The plain loop is what it says: short, nothing of ours in it, and the same network as ours."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from benchmarks.contestants import plain_loop
from torch import nn

from kilonet.data.batches import normalise
from kilonet.data.formats import read_idx_images, read_idx_labels
from kilonet.data.registry import spec
from kilonet.models.build import build
from kilonet.models.dropout import Dropout
from kilonet.recipe.load import resolve

SOURCE = Path(plain_loop.__file__)


def test_it_is_under_80_lines() -> None:
    assert len(SOURCE.read_text(encoding="utf-8").splitlines()) < 80


def test_it_imports_nothing_of_ours() -> None:
    imported = set()
    for node in ast.walk(ast.parse(SOURCE.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            imported.add((node.module or "").partition(".")[0])
    assert imported - sys.stdlib_module_names == {"numpy", "torch", "PIL"}


def pair() -> tuple[nn.Module, nn.Module]:
    """Return their network and ours with the same random weights and running statistics."""
    torch.manual_seed(0)
    theirs, ours = plain_loop.network(), build(resolve("gap-14k").recipe.model)
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight, module.bias, module.running_mean, module.running_var):
                nn.init.uniform_(tensor, 0.5, 1.5)
    sources = [*theirs.parameters(), *theirs.buffers()]
    targets = [*ours.parameters(), *ours.buffers()]
    with torch.no_grad():
        for source, target in zip(sources, targets, strict=True):
            assert source.numel() == target.numel()
            target.copy_(source.view(target.shape))
    return theirs, ours


def test_its_network_computes_what_ours_does() -> None:
    theirs, ours = pair()
    images = torch.randn(5, 1, 28, 28)
    with torch.no_grad():
        torch.testing.assert_close(theirs.eval()(images), ours.eval()(images))


def test_its_network_learns_what_ours_does() -> None:
    """Same gradients in training mode, dropout apart: the two draw other masks."""
    networks = pair()
    images, labels = torch.randn(8, 1, 28, 28), torch.arange(8)
    for network in networks:
        for module in network.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
        F.cross_entropy(network.train()(images), labels).backward()
    for theirs, ours in zip(*(network.parameters() for network in networks), strict=True):
        assert theirs.grad is not None and ours.grad is not None
        torch.testing.assert_close(theirs.grad.view(-1), ours.grad.reshape(-1))


def test_dropout_stands_where_ours_does() -> None:
    networks = pair()
    rates = [[m.p for m in network.modules() if isinstance(m, nn.Dropout)] for network in networks]
    assert rates[0] == rates[1] == [0.05] * 6
    assert not any(isinstance(module, Dropout) for module in networks[0].modules())


def test_its_images_are_those_that_ours_sees(few_digits: Path) -> None:
    digits = plain_loop.Digits(str(few_digits), "train")
    images = read_idx_images(few_digits / "train-images-idx3-ubyte.gz")
    labels = read_idx_labels(few_digits / "train-labels-idx1-ubyte.gz")
    mnist = spec("mnist")
    expected = normalise(torch.from_numpy(images)[:, None], mnist.mean, mnist.std)
    assert len(digits) == 20
    assert [digits[i][1] for i in range(20)] == labels.tolist()
    found = torch.stack([digits[i][0] for i in range(20)])
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=0)


def test_it_counts_every_step(few_digits: Path) -> None:
    sizes: list[int] = []
    trained = plain_loop.train(sizes.append, str(few_digits), epochs=2, batch_size=8, workers=0)
    assert sizes == [8, 8, 4] * 2
    assert not trained.training
