"""Classes of the user's own: found, refused with one sentence, called with their arguments."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from torch import nn

from kilonet.errors import RecipeError
from kilonet.models.custom import instantiate, load_class

SOURCE = """
from torch import nn
import kilonet_test_helper

class Net(nn.Module):
    def __init__(self, width: int, depth: int = 2):
        super().__init__()
        if width < 1:
            raise ValueError("width is below 1")
        self.width, self.depth = width, depth

def make(): ...

class NotANetwork: ...
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A current directory with a module of networks; what it imported is forgotten again."""
    (tmp_path / "kilonet_test_net.py").write_text(SOURCE)
    (tmp_path / "kilonet_test_helper.py").write_text("")
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("kilonet_test_")]:
        del sys.modules[name]


def write(folder: Path, name: str, source: str) -> None:
    path = folder / f"kilonet_test_{name}.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source)


def test_imports_from_the_current_directory(folder: Path) -> None:
    path = list(sys.path)
    cls = load_class("kilonet_test_net:Net")
    assert issubclass(cls, nn.Module)
    assert cls.__name__ == "Net"
    assert sys.path == path


def test_imports_from_a_package(folder: Path) -> None:
    write(folder, "package/nets", "")
    (folder / "kilonet_test_package" / "nets.py").write_text(SOURCE)
    assert load_class("kilonet_test_package.nets:Net").__module__ == "kilonet_test_package.nets"


def test_imports_an_installed_class() -> None:
    assert load_class("torch.nn:Linear") is nn.Linear


@pytest.mark.parametrize("name", ["", "net", "net:", ":Net", "a b:Net", "net.py/Net", "a..b:Net"])
def test_malformed_name(name: str) -> None:
    with pytest.raises(RecipeError, match=r"form package\.module:Class"):
        load_class(name)


@pytest.mark.parametrize("name", ["kilonet_test_absent", "kilonet_test_net.py", "absent.deeper"])
def test_no_such_module(name: str) -> None:
    with pytest.raises(RecipeError, match=f'No module "{name}".*mynet:Net'):
        load_class(f"{name}:Net")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import kilonet_absent_dependency", "ModuleNotFoundError.*kilonet_absent_dependency"),
        ("x = 1\nraise ValueError('no')", r"ValueError: no \(kilonet_test_bad.py, line 2\)"),
        ("x = (", r"SyntaxError: .*kilonet_test_bad.py, line 1"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("raise ValueError", r"ValueError \(kilonet"),
    ],
)
def test_import_that_raises(folder: Path, source: str, reason: str) -> None:
    write(folder, "bad", source)
    with pytest.raises(RecipeError, match=f'Importing "kilonet_test_bad" failed: .*{reason}'):
        load_class("kilonet_test_bad:Net")


def test_no_such_class_suggests_the_nearest() -> None:
    with pytest.raises(RecipeError, match=r'has no class "Nett"\. Did you mean "Net"\?'):
        load_class("kilonet_test_net:Nett")


def test_no_such_class_lists_the_networks() -> None:
    with pytest.raises(RecipeError, match=r"Its networks: Net\."):
        load_class("kilonet_test_net:Zebra")


@pytest.mark.parametrize("name", ["NotANetwork", "make", "kilonet_test_helper"])
def test_not_a_network(name: str) -> None:
    with pytest.raises(RecipeError, match=r"derived from torch\.nn\.Module"):
        load_class(f"kilonet_test_net:{name}")


def test_instantiate() -> None:
    model = instantiate(load_class("kilonet_test_net:Net"), {"width": 3})
    assert (model.width, model.depth) == (3, 2)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (
            {"width": 1, "dept": 2},
            "got an unexpected keyword argument 'dept'. Did you mean \"depth\"",
        ),
        ({}, "missing a required argument: 'width'"),
    ],
)
def test_wrong_arguments_name_the_accepted_ones(arguments: dict[str, object], reason: str) -> None:
    with pytest.raises(RecipeError, match=rf"kilonet_test_net:Net: {reason}.*width, depth=2\."):
        instantiate(load_class("kilonet_test_net:Net"), arguments)


def test_class_without_arguments() -> None:
    class Plain(nn.Module):
        def __init__(self) -> None:
            super().__init__()

    with pytest.raises(RecipeError, match="It accepts no arguments"):
        instantiate(Plain, {"width": 1})


def test_constructor_that_raises() -> None:
    cls = load_class("kilonet_test_net:Net")
    with pytest.raises(RecipeError, match=r"Net\(width=0\) cannot be constructed: ValueError"):
        instantiate(cls, {"width": 0})
