from __future__ import annotations

from pathlib import Path

import pytest
from idx_files import TinySet

from kilonet.data.locate import incomplete, is_available, locate, search_path
from kilonet.data.registry import DATASETS
from kilonet.errors import UsageError


def test_search_path_prefers_the_argument_to_the_environment(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert search_path(None) == (cache,)
    monkeypatch.setenv("KILONET_DATA", str(tmp_path / "env"))
    assert search_path(None) == (tmp_path / "env", cache)
    assert search_path(tmp_path / "arg") == (tmp_path / "arg", cache)


@pytest.mark.parametrize("layout", ["tiny", "Tiny/raw", "."])
@pytest.mark.parametrize("packed", [True, False], ids=["gz", "unpacked"])
def test_finds_every_layout(layout: str, packed: bool, tiny: TinySet, tmp_path: Path) -> None:
    folder = tmp_path / "data" / layout
    tiny.place(folder, packed)
    files = locate(tiny.entry, tmp_path / "data")
    assert files is not None and set(files) == set(tiny.entry.files)
    assert {path.parent for path in files.values()} == {folder}
    assert all(path.name.endswith(".gz") == packed for path in files.values())


def test_a_named_folder_without_the_set_is_passed_over(
    tiny: TinySet, cache: Path, tmp_path: Path
) -> None:
    tiny.place(cache / "tiny")
    (tmp_path / "empty").mkdir()
    for data_dir in (tmp_path / "empty", tmp_path / "missing", None):
        files = locate(tiny.entry, data_dir)
        assert files is not None and files["test_labels"].parent == cache / "tiny"


def test_the_named_folder_comes_before_the_cache(
    tiny: TinySet, cache: Path, tmp_path: Path
) -> None:
    tiny.place(cache / "tiny")
    files = locate(tiny.entry, tiny.home)
    assert files is not None and files["test_labels"].is_relative_to(tiny.home)


def test_an_incomplete_folder_does_not_count(tiny: TinySet, tmp_path: Path) -> None:
    tiny.place(tmp_path / "data" / "tiny")
    assert incomplete(tiny.entry, tmp_path / "data") == ""
    (tmp_path / "data" / "tiny" / "t10k-labels-idx1-ubyte.gz").unlink()
    assert locate(tiny.entry, tmp_path / "data") is None
    assert not is_available("tiny", tmp_path / "data")
    message = incomplete(tiny.entry, tmp_path / "data")
    assert message == f" {tmp_path / 'data' / 'tiny'} lacks t10k-labels-idx1-ubyte.gz."


def test_loose_files_of_another_set_are_not_taken(tiny: TinySet, tmp_path: Path) -> None:
    """All sets name their files alike."""
    tiny.place(tmp_path / "data")
    assert locate(tiny.entry, tmp_path / "data") is not None
    assert locate(DATASETS["kmnist"], tmp_path / "data") is None


def test_is_available(tiny: TinySet) -> None:
    assert is_available("digits")
    assert is_available("tiny", tiny.home)
    assert not is_available("tiny")
    with pytest.raises(UsageError, match=r'Did you mean "mnist"\?'):
        is_available("mnits")
