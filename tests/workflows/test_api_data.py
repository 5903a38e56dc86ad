"""Data sets at hand, and pictures of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from kilonet.errors import UsageError
from kilonet.workflows.data import fetch, show_sample


def test_a_sample_with_and_without_augmentation(tmp_path: Path) -> None:
    plain = show_sample("digits", tmp_path / "plain.png")
    changed = show_sample("digits", str(tmp_path / "changed.png"), recipe="stacked-1x1")
    with Image.open(plain) as without, Image.open(changed) as with_rows:
        assert without.format == "PNG"
        assert with_rows.height > without.height


def test_refused(tmp_path: Path) -> None:
    target = tmp_path / "x.png"
    with pytest.raises(UsageError, match="There is no data set"):
        show_sample("nope", target)
    with pytest.raises(UsageError, match="There is no recipe"):
        show_sample("digits", target, recipe="nope")
    assert not target.exists()
    with pytest.raises(UsageError, match=r"Cannot write .* --out"):
        show_sample("digits", tmp_path / "no" / "where.png")


def test_fetch_returns_what_is_at_hand() -> None:
    assert fetch("digits").source == "scikit-learn"
