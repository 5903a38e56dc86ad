"""``kilonet data``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from commands import Command

from kilonet.data.registry import DATASETS


def test_the_list(kilonet: Command, tmp_path: Path) -> None:
    result = kilonet("data")
    assert (result.status, result.err) == (0, "")
    lines = result.out.splitlines()
    assert [line.split()[0] for line in lines] == ["name", *DATASETS]
    assert "scikit-learn" in lines[-1]
    assert kilonet("data", "ls").out == result.out
    assert kilonet("data", "--data-dir", tmp_path).status == 0


@pytest.mark.mnist
def test_where_mnist_was_found(kilonet: Command, mnist_dir: Path) -> None:
    for arguments in (["ls", "--data-dir", mnist_dir], ["--data-dir", mnist_dir]):
        assert str(mnist_dir / "mnist") in kilonet("data", *arguments).out
    result = kilonet("data", "fetch", "mnist", "--data-dir", mnist_dir)
    assert result.out == f"MNIST: verified, in {mnist_dir / 'mnist'}\n"


def test_fetch_a_bundled_data_set(kilonet: Command) -> None:
    result = kilonet("data", "fetch", "digits")
    assert result.out == "Optical digits (scikit-learn): verified, in scikit-learn\n"


def test_a_picture(kilonet: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert kilonet("data", "show", "digits").out == "Wrote digits.png\n"
    assert Path("digits.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["fetch", "mnits"], 'Did you mean "mnist"'),
        (["fetch"], "Missing argument 'NAME...'"),
        (["show", "nope"], "There is no data set"),
        (["show", "digits", "--recipe", "nope"], "There is no recipe"),
        (["show", "digits", "--out", "no/where.png"], "Cannot write no/where.png"),
        (["--data-dir", ".", "show", "digits"], "kilonet data show --data-dir ."),
        (["ls", "--data-dir", "nowhere"], "does not exist"),
    ],
)
def test_refused(
    refused: Callable[..., str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    text: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert text in refused("data", *arguments)
    assert list(tmp_path.iterdir()) == []
