from __future__ import annotations

from pathlib import Path

from idx_files import TinySet

from kilonet.data.catalogue import catalogue
from kilonet.data.registry import DATASETS


def test_lists_every_set_with_where_it_is(tiny: TinySet) -> None:
    lines = {line.name: line for line in catalogue(tiny.home)}
    assert list(lines) == list(DATASETS)
    assert lines["tiny"].source == str(tiny.home / "tiny")
    assert lines["digits"].source == "scikit-learn"
    assert lines["mnist"].source is None
    assert (lines["mnist"].train_count, lines["mnist"].test_count) == (60_000, 10_000)
    assert "CC BY-SA" in lines["mnist"].licence


def test_counts_of_digits_are_true(cache: Path) -> None:
    from kilonet.data.dataset import load_dataset

    line = next(line for line in catalogue() if line.name == "digits")
    digits = load_dataset("digits")
    assert (len(digits.train_labels), len(digits.test_labels)) == (
        line.train_count,
        line.test_count,
    )
