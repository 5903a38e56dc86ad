"""Several workers on one network: equal shares, summed gradients, one and the same result."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
from crowd import together
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from trials import CPU, figures, fit, same, trained

from kilonet.errors import TrainingError
from kilonet.progress import Row, Silent
from kilonet.training.fit import Outcome
from kilonet.training.material import score
from kilonet.training.workers import Workers, meet

PLAIN = ("model.batch_norm=false", "model.dropout=0.0", "optimizer.momentum=0.9")
FULL = ("training.ema=0.8", "augmentation.rotation=10.0", "optimizer.momentum=0.9")


@given(length=st.integers(1, 200), size=st.integers(1, 9))
def test_shares(length: int, size: int) -> None:
    batch = torch.arange(length)
    shares = [Workers(rank, size).share(batch) for rank in range(size)]
    copies = Workers(0, size).copies(batch)
    assert sum(weight for _, weight in shares) == pytest.approx(1)
    counted = sorted(torch.cat([mine for mine, _ in shares]).tolist())
    assert counted == sorted(batch.tolist() * copies)
    sizes = {len(mine) for mine, _ in shares}
    assert max(sizes) - min(sizes) <= 1
    assert min(sizes) >= min(2, length)
    assert copies in (1, size)


def test_one_alone_needs_no_one() -> None:
    alone, tensor = Workers(), torch.tensor([2.0, 3.0])
    alone.add_up([tensor])
    alone.average([tensor])
    assert tensor.tolist() == [2.0, 3.0]
    assert alone.told("news") == "news"
    assert alone.leads
    assert not Workers(1, 2).leads


def exchange(workers: Workers) -> dict[str, Any]:
    """Send everything there is to send, of each shape and kind."""
    mine = float(workers.rank + 1)
    picture = torch.full((2, 3, 4, 5), mine).to(memory_format=torch.channels_last)
    picture[0, 1, 2, 3] = 10 * mine
    double, whole = torch.full((), mine, dtype=torch.float64), torch.tensor([workers.rank])
    workers.add_up([picture, double])
    workers.add_up([])
    scale = torch.full((3,), mine)
    workers.average(iter([scale, whole]))
    workers.average([whole])
    return {
        "picture": picture,
        "double": double,
        "whole": whole,
        "scale": scale,
        "told": workers.told({"from": workers.rank, "tensor": torch.ones(2) * mine}),
    }


def test_what_is_exchanged() -> None:
    found = together(exchange, size=3)
    for rank, got in enumerate(found):
        assert got["picture"].is_contiguous(memory_format=torch.channels_last)
        assert got["picture"].sum() == 6 * 119 + 60
        assert got["picture"][0, 1, 2, 3] == 60
        assert got["double"] == 6
        assert got["whole"] == rank  # counts are left alone
        assert got["scale"].tolist() == [2.0, 2.0, 2.0]
        assert got["told"]["from"] == 0
        assert got["told"]["tensor"].tolist() == [1.0, 1.0]


def run(workers: Workers, *overrides: str) -> tuple[Outcome, dict[str, Tensor]]:
    """Train the small recipe; return its outcome and the whole of its last state's network."""
    running = fit(*overrides, workers=workers)
    outcome = running.run(lambda _: None, Silent())
    return outcome, running.model.state_dict()


# The last batch: 22 images; 3, too few to share, which each worker sees whole; all of them.
@pytest.mark.parametrize("batch_size", [32, 49, 500])
@pytest.mark.parametrize("size", [2, 3])
def test_as_one_process_but_for_rounding(batch_size: int, size: int) -> None:
    words = (*PLAIN, f"training.batch_size={batch_size}", "training.label_smoothing=0.1")
    alone = trained(*words)
    for outcome, _ in together(run, *words, size=size):
        for row, expected in zip(figures(outcome.history), figures(alone.history), strict=True):
            assert row == pytest.approx(expected, rel=2e-5)
        for name, weights in outcome.last.items():
            torch.testing.assert_close(weights, alone.last[name], rtol=1e-4, atol=2e-6)


@pytest.fixture(scope="module")
def pairs() -> list[list[tuple[Outcome, dict[str, Tensor]]]]:
    """Batch norm, dropout, augmentation and an average, trained twice by two workers."""
    return [together(run, *FULL), together(run, *FULL)]


def test_workers_stay_equal_to_the_bit(pairs: Any) -> None:
    (leading, first), (helping, second) = pairs[0]
    assert same(leading.last, helping.last)
    assert same(leading.best, helping.best)
    assert same(first, second)
    assert figures(leading.history) == figures(helping.history)
    assert leading.stopped_because == helping.stopped_because


def test_the_same_seed_gives_the_same_bits_again(pairs: Any) -> None:
    (first, _), (second, _) = pairs[0][0], pairs[1][0]
    assert same(first.last, second.last)
    assert figures(first.history) == figures(second.history)


def test_each_draws_its_own_dropout_and_augmentation(pairs: Any) -> None:
    """Not the bits of one process, but as good: the loss falls alike."""
    together_, alone = pairs[0][0][0], trained(*FULL)
    assert not same(together_.last, alone.last)
    ours, theirs = together_.history[-1], alone.history[-1]
    assert ours["train_loss"] == pytest.approx(theirs["train_loss"], rel=0.1)


def test_gathered_figures_are_those_of_the_whole(pairs: Any) -> None:
    outcome = pairs[0][0][0]
    judged = fit(*FULL)
    judged.model.load_state_dict(outcome.last)
    data, row = judged.material, outcome.history[-1]
    loss, accuracy = score(judged.model, data.validation, data, CPU)
    assert row["validation_accuracy"] == accuracy
    assert row["validation_loss"] == pytest.approx(loss, rel=1e-6)


def first_statistics(workers: Workers) -> tuple[Tensor, list[Row]]:
    """Return batch norm's first running mean after one epoch of one batch, and the history."""
    running = fit("training.epochs=1", "training.batch_size=500", workers=workers)
    outcome = running.run(lambda _: None, Silent())
    return outcome.last["features.conv1.norm.running_mean"], outcome.history


def test_running_statistics_are_averaged() -> None:
    """The mean of two halves' means is the mean of the whole, and 150 images are two halves."""
    (ours, _), (theirs, _) = together(first_statistics)
    alone, _ = first_statistics(Workers())
    assert torch.equal(ours, theirs)
    torch.testing.assert_close(ours, alone, rtol=1e-4, atol=1e-6)


def test_no_one_comes(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"The 2 workers could not come together: .*workers=1"):
        meet(Workers(0, 2), timedelta(seconds=0.2), tmp_path)
