"""Layer tables by name."""

from __future__ import annotations

from pathlib import Path

import pytest

import kilonet
from kilonet.errors import RecipeError, UsageError
from kilonet.runs import layout
from kilonet.workflows.runs import Run
from trained import start_run


def test_a_recipe_and_a_run_of_it(finished_run: Run) -> None:
    recipe, run = kilonet.summary("quick"), kilonet.summary(finished_run)
    assert recipe.startswith("quick\n")
    assert run.startswith("quick-1\n")
    assert recipe.split("\n", 1)[1] == run.split("\n", 1)[1]
    stored = finished_run.directory.file(layout.SUMMARY).read_text(encoding="utf-8")
    assert stored == run


def test_a_network_of_ones_own(own_network: Path) -> None:
    by_class, by_recipe = kilonet.summary("tinynet:Net"), kilonet.summary(own_network)
    assert "1,554" in by_class  # width 4: 26·4 + 144·10 + 10
    assert "1,168" in by_recipe  # width 3: 26·3 + 108·10 + 10
    run = start_run(path=own_network.parent / "run", recipe=str(own_network))
    assert "1,168" in kilonet.summary(run.path, model="tinynet:Net")


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("gap-14", 'There is no recipe and no run "gap-14". Did you mean "gap-14k"?'),
        ("quick-7", 'Did you mean "quick-1"?'),
        ("nope.toml", "There is no recipe file"),
    ],
)
def test_unknown(source: str, text: str) -> None:
    start_run()
    with pytest.raises(UsageError) as caught:
        kilonet.summary(source)
    assert text in str(caught.value)


def test_unknown_class() -> None:
    with pytest.raises(RecipeError, match='No module "nowhere"'):
        kilonet.summary("nowhere:Net")
    with pytest.raises(UsageError, match="--model names the class of a run or of a recipe file"):
        kilonet.summary("quick", model="a:B")
