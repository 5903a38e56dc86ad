"""Recipe files that name a class: imported from their own folder only, unless the user names it."""

from __future__ import annotations

from pathlib import Path

import pytest

import kilonet
from kilonet.errors import UsageError
from kilonet.recipe.catalog import recipe_text
from kilonet.recipe.load import resolve

EVIL = "raise SystemExit('this code ran')\n"


def recipe(folder: Path, name: str) -> Path:
    """Write a recipe whose network is the class ``name``."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "theirs.toml"
    text = recipe_text("quick")
    begin, end = text.index("[model]"), text.index("[", text.index("[model]") + 1)
    path.write_text(f'{text[:begin]}[model]\nname = "{name}"\n\n{text[end:]}')
    return path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, with code of the user's own that must not run."""
    folder = tmp_path / "home"
    for file in ("mynet.py", "pack/__init__.py", "pack/nets.py", "plain/nets.py"):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(EVIL)
    monkeypatch.chdir(folder)
    return folder


NAMES = ["mynet:Net", "pack:Net", "pack.nets:Net", "plain.nets:Net", "this:Net", "pytest:Net"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("folder", ["../downloads", "downloads", "downloads/deep"])
def test_a_class_elsewhere_is_named_and_refused(home: Path, folder: str, name: str) -> None:
    path = recipe(home / folder, name)
    for make in (lambda: resolve(path), lambda: kilonet.summary(path), lambda: kilonet.train(path)):
        with pytest.raises(UsageError) as caught:
            make()
        assert f"names the network {name}" in str(caught.value)
        assert ".py" in str(caught.value) or "plain" in str(caught.value)
        assert f"model.name={name}" in str(caught.value)


@pytest.mark.parametrize("name", NAMES)
def test_a_class_that_the_user_names(home: Path, name: str) -> None:
    path = recipe(home.parent, name)
    assert resolve(path, [f"model.name={name}"]).recipe.model.name == name
    assert resolve(path, [f'model={{name="{name}"}}']).recipe.model.name == name
    assert resolve(path, trusted=name).recipe.model.name == name
    assert resolve(path, imports=False).recipe.model.name == name
    assert resolve(resolve(path, imports=False).recipe).recipe.model.name == name
    with pytest.raises(UsageError):
        resolve(path, trusted="other:Net")


@pytest.mark.parametrize("name", NAMES[:4])
@pytest.mark.parametrize("written", ["theirs.toml", "./theirs.toml", "../home/theirs.toml"])
def test_a_class_beside_its_recipe_needs_no_name(home: Path, name: str, written: str) -> None:
    recipe(home, name)
    assert resolve(written).recipe.model.name == name


def test_a_class_that_does_not_exist_has_its_own_message(home: Path) -> None:
    path = recipe(home.parent, "nowhere:Net")
    with pytest.raises(kilonet.KilonetError, match='No module "nowhere"'):
        kilonet.summary(path)
