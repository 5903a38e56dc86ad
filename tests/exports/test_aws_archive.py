"""What is in the archive, and what is not."""

from __future__ import annotations

import re

import pytest
from functions import archive, files

from kilonet.errors import KilonetError
from kilonet.exports.aws import archive as room


def test_it_is_small_enough() -> None:
    content = files()["net-1-lambda.zip"]
    assert len(content) < 40_000_000
    assert room.unpacked_bytes(content) < 120_000_000


def test_what_is_in_it() -> None:
    names = {*archive().namelist()}
    assert {"handler.py", "model.onnx", "kilonet/inference/read.py", "kilonet/errors.py"} <= names
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} <= {
        *("handler.py", "model.onnx", "kilonet", "onnxruntime", "platformdirs"),
        *("numpy", "numpy.libs", "PIL", "pillow.libs"),
    }
    needless = re.compile(r"/tests/|__pycache__|\.(pyi|h|a|js)$|^kilonet/(api|cli|training)|sympy")
    assert [name for name in names if needless.search(name)] == []


def test_licences_travel_but_nothing_of_this_machine() -> None:
    names = archive().namelist()
    for package in ("numpy", "pillow", "platformdirs"):
        assert any(re.match(rf"{package}-.*dist-info/licen[cs]es?/", name) for name in names)
    assert "onnxruntime/LICENSE" in names
    assert not [name for name in names if re.search(r"RECORD|direct_url|INSTALLER", name)]


def test_a_package_that_pip_did_not_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "DISTRIBUTIONS", ("no-such-package",))
    with pytest.raises(KilonetError, match=r'"no-such-package", .* pip install'):
        room.make_archive(b"")


def test_equal_contents_are_equal_archives() -> None:
    assert {entry.date_time for entry in archive().infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert archive().namelist() == sorted(archive().namelist())
