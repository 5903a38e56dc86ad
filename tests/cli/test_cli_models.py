"""``kilonet recipes`` and ``kilonet summary``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from commands import Command
from golden import assert_golden

import kilonet as library
from kilonet.cli import tables
from kilonet.recipe.catalog import recipe_names, recipe_text
from kilonet.recipe.load import parse_recipe, resolve


def test_the_list(kilonet: Command) -> None:
    result = kilonet("recipes")
    assert (result.status, result.err) == (0, "")
    assert kilonet("recipes", "ls").out == result.out
    lines = result.out.splitlines()
    assert [line.split()[0] for line in lines] == ["recipe", *recipe_names()]
    assert all(line.endswith(resolve(line.split()[0]).recipe.title) for line in lines[1:])


def test_its_layout(kilonet: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Uses recipes that are not tuned any more, so that the golden file stays valid."""
    names = ["quick", "gap-14k", "plain-valid-sgd", "two-conv-fc128"]
    monkeypatch.setattr(tables, "recipe_names", lambda: names)
    assert_golden("recipes", kilonet("recipes").out)


@pytest.mark.parametrize("name", recipe_names())
def test_what_show_prints_is_the_recipe(kilonet: Command, name: str) -> None:
    result = kilonet("recipes", "show", name)
    assert (result.status, result.err) == (0, "")
    assert parse_recipe(result.out, name) == resolve(name).recipe


def test_show_with_changes_and_of_a_file(kilonet: Command, tmp_path: Path) -> None:
    result = kilonet("recipes", "show", "quick", "optimizer.lr=0.5", "training.ema=0.9")
    path = tmp_path / "mine.toml"
    path.write_text(result.out, encoding="utf-8")
    assert "lr = 0.5\n" in result.out
    assert "ema = 0.9\n" in result.out
    assert kilonet("recipes", "show", path).out == result.out


def test_copy(kilonet: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = kilonet("recipes", "copy", "gap-14k")
    assert result.out == "Wrote gap-14k.toml. Train it: kilonet train gap-14k.toml\n"
    assert Path("gap-14k.toml").read_text(encoding="utf-8") == recipe_text("gap-14k")
    assert kilonet("recipes", "copy", "quick", tmp_path / "[b]mine.toml").status == 0
    assert (tmp_path / "[b]mine.toml").exists()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["show", "quikc"], 'Did you mean "quick"?'),
        (["show", "quick", "training.epoch=3"], 'quick: [training] unknown key "epoch". Did you'),
        (["show", "quick", "optimizer.lr=fast"], '[optimizer] lr: must be a number, not "fast".'),
        (["show", "quick", "a", "b=1"], '"a" is not KEY=VALUE'),
        (["show", "no.toml"], "There is no recipe file no.toml"),
        (["copy", "quikc"], 'Did you mean "quick"?'),
        (["copy", "quick", "mine"], "mine does not end in .toml"),
        (["copy", "quick", "no/where.toml"], "Cannot write no/where.toml: No such file"),
        (["show"], "Missing argument 'RECIPE|FILE.toml'"),
    ],
)
def test_refused(
    refused: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    arguments: list[str],
    text: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert text in refused("recipes", *arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_syntax_error_names_its_line(refused: Callable[..., str], tmp_path: Path) -> None:
    path = tmp_path / "[bold]mine.toml"
    path.write_text('title = "x"\n[model]\nname simple\n', encoding="utf-8")
    message = refused("recipes", "show", path)
    assert message.startswith(f"{path}: not valid TOML: ")
    assert "line 3" in message


def test_summary_a_recipe(kilonet: Command) -> None:
    result = kilonet("summary", "gap-14k")
    assert (result.status, result.err) == (0, "")
    assert result.out == library.summary("gap-14k") + "\n"
    assert "14,210" in result.out


def test_summary_refused(refused: Callable[..., str]) -> None:
    assert 'no recipe and no run "gap14k"' in refused("summary", "gap14k")
    assert 'No module "nowhere"' in refused("summary", "nowhere:Net")
    assert "--model names the class of a run or of a recipe file" in refused(
        "summary", "quick", "--model", "a:B"
    )
