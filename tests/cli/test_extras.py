"""A package that is not installed is named, with the extra that contains it."""

from __future__ import annotations

import importlib.util
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import kilonet
from kilonet import extras
from kilonet.cli import tables
from kilonet.errors import MissingExtraError
from kilonet.extras import PACKAGES, import_failure, require
from trained import start_run

PYPROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"
DISTRIBUTIONS = {
    "sklearn": "scikit-learn",
    "python_multipart": "python-multipart",
    "prometheus_client": "prometheus-client",
}


def hide(monkeypatch: pytest.MonkeyPatch, hidden: str) -> None:
    def find(name: str, *rest: Any) -> Any:
        return None if name == hidden else importlib.util.find_spec(name, *rest)

    monkeypatch.setattr(extras, "find_spec", find)


def test_what_is_installed_passes() -> None:
    for name in PACKAGES:
        require(name)


@pytest.mark.parametrize(
    ("extra", "package"), [(extra, package) for extra in PACKAGES for package in PACKAGES[extra]]
)
def test_each_absence_names_its_extra(
    monkeypatch: pytest.MonkeyPatch, extra: str, package: str
) -> None:
    hide(monkeypatch, package)
    with pytest.raises(MissingExtraError) as caught:
        for name in PACKAGES:
            require(name)
    assert f'"{package}"' in str(caught.value)
    assert f'pip install "kilonet[{extra}]"' in str(caught.value)


@pytest.mark.parametrize("extra", PACKAGES)
def test_the_extra_really_brings_it(extra: str) -> None:
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    brought = [line.split(">")[0] for line in project["optional-dependencies"][extra]]
    assert {DISTRIBUTIONS.get(package, package) for package in PACKAGES[extra]} <= {*brought}


@pytest.mark.parametrize(
    "arguments",
    [
        "train",
        "train --resume x",
        "evaluate x",
        "summary quick",
        "data fetch x",
        "data show x",
        "export x --to c",
    ],
)
def test_commands_name_it(
    refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch, arguments: str
) -> None:
    hide(monkeypatch, "torch")
    assert 'Install the "train" extra' in refused(*arguments.split(), status=1)


@pytest.mark.parametrize("arguments", ["train", "summary quick", "study quick", "serve"])
def test_a_current_folder_that_was_removed(
    refused: Callable[..., str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: str,
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert (
        refused(*arguments.split()) == "The current folder was removed. Change to another: cd DIR"
    )


def test_training_needs_onnx_from_the_start(
    refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    hide(monkeypatch, "onnxscript")
    assert 'Install the "train" extra' in refused("train", "data.name=digits", status=1)
    with pytest.raises(MissingExtraError, match="onnxscript"):
        kilonet.train("quick", data_name="digits")
    with pytest.raises(MissingExtraError, match="onnxscript"):
        kilonet.resume(start_run().path)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ModuleNotFoundError("No module named 'onnx'", name="onnx"), 'Install the "train" extra'),
        (ImportError("libx.so: failed to map segment", name="onnx"), "failed to map segment. Free"),
        (ImportError("cannot allocate memory"), "cannot allocate memory. Free some memory"),
    ],
)
def test_the_true_cause_is_named(error: ImportError, text: str) -> None:
    assert text in str(import_failure("train", "onnx", error))


def test_a_package_that_does_not_load(
    refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise ImportError("libgomp.so.1: cannot open shared object file", name="torch._C")

    monkeypatch.setattr(tables, "recipes_table", fail)
    message = refused("recipes", status=1)
    assert message.startswith('The package "torch._C" cannot be loaded: libgomp.so.1: cannot open')
