"""``kilonet summary``."""

from __future__ import annotations

from collections.abc import Callable

from commands import Command

import kilonet as library


def test_a_recipe(kilonet: Command) -> None:
    result = kilonet("summary", "gap-14k")
    assert (result.status, result.err) == (0, "")
    assert result.out == library.summary("gap-14k") + "\n"
    assert "14,210" in result.out


def test_the_other_style(kilonet: Command) -> None:
    result = kilonet("summary", "stacked-1x1", "--style", "torchsummary")
    assert result.out == library.summary("stacked-1x1", "torchsummary") + "\n"


def test_refused(refused: Callable[..., str]) -> None:
    assert 'no recipe and no run "gap14k"' in refused("summary", "gap14k")
    assert 'No module "nowhere"' in refused("summary", "nowhere:Net")
    assert "--model names the class of a run" in refused("summary", "quick", "--model", "a:B")
