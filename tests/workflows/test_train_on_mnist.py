"""The default recipe on the real thing."""

from __future__ import annotations

from pathlib import Path

import pytest

import kilonet


@pytest.mark.mnist
@pytest.mark.slow
def test_default_recipe_learns_mnist(mnist_dir: Path) -> None:
    run = kilonet.train("quick", epochs=2, threads=1, data_name="mnist", data_dir=mnist_dir)
    assert run.test.total == 10_000
    assert run.test.accuracy > 0.98
    assert run.history[0]["validation_accuracy"] < run.history[1]["validation_accuracy"]
    again = kilonet.evaluate(run, data_dir=mnist_dir, device="cpu")
    assert again.correct == run.test.correct
