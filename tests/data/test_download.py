from __future__ import annotations

import socket
import time
from dataclasses import replace
from pathlib import Path

import pytest
from idx_files import TinySet
from served import serve

from kilonet.data.dataset import load_dataset
from kilonet.data.download import DownloadError, download, mirrors_of
from kilonet.errors import DataError
from kilonet.progress import Reporter


def nobody() -> str:
    """A URL on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/"


def test_downloads_all_files_once(tiny: TinySet, cache: Path) -> None:
    with serve(tiny.home / "tiny") as mirror:
        entry = replace(tiny.entry, mirrors=(mirror.url,))
        assert download(entry, cache) == cache / "tiny"
        names = {file.filename for file in entry.files.values()}
        assert {path.name for path in (cache / "tiny").iterdir()} == names
        for name in names:
            assert (cache / "tiny" / name).read_bytes() == (tiny.home / "tiny" / name).read_bytes()
        assert len(mirror.requests) == 4
        download(entry, cache)
        assert len(mirror.requests) == 4


def test_a_second_run_downloads_only_missing_or_damaged_files(tiny: TinySet, cache: Path) -> None:
    with serve(tiny.home / "tiny") as mirror:
        entry = replace(tiny.entry, mirrors=(mirror.url,))
        folder = download(entry, cache)
        (folder / "t10k-labels-idx1-ubyte.gz").unlink()
        (folder / "train-labels-idx1-ubyte.gz").write_bytes(b"damaged")
        mirror.requests.clear()
        download(entry, cache)
    assert mirror.requests == ["/train-labels-idx1-ubyte.gz", "/t10k-labels-idx1-ubyte.gz"]


def test_wrong_bytes_lead_to_the_next_mirror_and_leave_nothing(
    tiny: TinySet, cache: Path, tmp_path: Path
) -> None:
    tiny.place(tmp_path / "bad")
    for path in (tmp_path / "bad").iterdir():
        path.write_bytes(path.read_bytes()[:-1] + b"!")
    with serve(tmp_path / "bad") as bad, serve(tiny.home / "tiny") as good:
        download(replace(tiny.entry, mirrors=(bad.url, good.url)), cache)
    assert len(bad.requests) == 1  # the mirror that failed is asked last from then on
    assert len(good.requests) == 4
    assert len(list((cache / "tiny").iterdir())) == 4


def test_a_broken_connection_leaves_nothing_and_the_next_run_succeeds(
    tiny: TinySet, cache: Path
) -> None:
    with serve(tiny.home / "tiny", cut_after=20) as broken:
        with pytest.raises(DownloadError):
            download(replace(tiny.entry, mirrors=(broken.url,)), cache)
        assert list((cache / "tiny").iterdir()) == []
    with serve(tiny.home / "tiny") as good:
        download(replace(tiny.entry, mirrors=(good.url,)), cache)
    assert len(list((cache / "tiny").iterdir())) == 4


def test_failure_names_mirrors_reasons_and_remedies(
    tiny: TinySet, cache: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    closed = nobody()
    with serve(tmp_path / "empty") as empty:
        started = time.monotonic()
        with pytest.raises(DownloadError) as caught:
            download(replace(tiny.entry, mirrors=(empty.url, closed, "no-url/")), cache)
    message = str(caught.value)
    assert f"{empty.url} (HTTP status 404)" in message
    assert f"{closed} (no connection)" in message
    assert "no-url/ (MissingSchema)" in message
    assert "train-images-idx3-ubyte.gz" in message and "DIR/tiny/" in message
    assert "--data-dir" in message and "KILONET_DATA" in message and "\n" not in message
    assert time.monotonic() - started < 3


class Recorder(Reporter):
    """Keeps what it is called with."""

    def __init__(self) -> None:
        self.events: list[tuple[str | int, ...]] = []

    def message(self, text: str) -> None:
        self.events.append(("message", text))

    def task_started(self, description: str, total: int, unit: str = "") -> None:
        self.events.append(("started", description, total, unit))

    def task_progress(self, completed: int) -> None:
        self.events.append(("progress", completed))

    def task_done(self) -> None:
        self.events.append(("done",))


def test_an_unwritable_cache_is_named(tiny: TinySet, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match=r"file/tiny cannot be written.*--data-dir"):
        download(tiny.entry, tmp_path / "file")


def test_own_mirror_comes_first(tiny: TinySet, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = replace(tiny.entry, mirrors=("http://a/", "http://b/"))
    assert mirrors_of(entry) == ["http://a/", "http://b/"]
    for value in ("http://own/base", "http://own/base/"):
        monkeypatch.setenv("KILONET_MIRROR", value)
        assert mirrors_of(entry) == ["http://own/base/tiny/", "http://a/", "http://b/"]


def test_progress_goes_only_to_the_reporter(
    tiny: TinySet, cache: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with serve(tiny.home / "tiny") as mirror:
        entry = replace(tiny.entry, mirrors=(mirror.url,))
        download(entry, cache / "silent")
        assert capfd.readouterr() == ("", "")
        reporter = Recorder()
        download(entry, cache / "reported", reporter)
    assert capfd.readouterr() == ("", "")
    name, (path, *_) = "train-images-idx3-ubyte.gz", (cache / "reported").rglob("train-images*")
    size = path.stat().st_size
    start = reporter.events.index(("started", name, size, "B"))
    events = reporter.events[start + 1 :]
    end = events.index(("done",))
    assert events[:2] == [("progress", 1024), ("progress", 2048)]
    assert events[end - 1] == ("progress", size)
    assert max(event[1] for event in events[:end]) == size


def test_load_dataset_announces_a_download(
    tiny: TinySet, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reporter = Recorder()
    with serve(tiny.home) as mirror:
        monkeypatch.setenv("KILONET_MIRROR", mirror.url)
        load_dataset("tiny", reporter=reporter)
        message = ("message", f"{tiny.entry.title} is not on this machine; downloading it.")
        assert reporter.events[0] == message
        reporter.events.clear()
        load_dataset("tiny", reporter=reporter)
        load_dataset("digits", reporter=reporter)
    assert reporter.events == []


def test_load_dataset_downloads_and_then_needs_no_mirror(
    tiny: TinySet, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(tiny.home) as mirror:
        monkeypatch.setenv("KILONET_MIRROR", mirror.url)
        dataset = load_dataset("tiny")
    assert dataset.source == str(cache / "tiny")
    assert load_dataset("tiny").test_labels.tolist() == tiny.arrays["test_labels"].tolist()


@pytest.mark.mnist
def test_the_real_files_pass_the_real_checksums(
    cache: Path, mnist_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(mnist_dir) as mirror:
        monkeypatch.setenv("KILONET_MIRROR", mirror.url)
        dataset = load_dataset("mnist")
    assert len(dataset.train_images) == 60_000
    assert dataset.source == str(cache / "mnist")
