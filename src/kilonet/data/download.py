"""Download a data set into the user's cache from the first mirror that works."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from kilonet.data.specs import DatasetSpec, FileSpec
from kilonet.errors import DataError
from kilonet.extras import import_failure
from kilonet.progress import Reporter

MIRROR_VARIABLE = "KILONET_MIRROR"
# Seconds to connect, and between two chunks of data: no network is reported soon, and a slow
# connection is not interrupted.
_TIMEOUT = (4.0, 30.0)


class DownloadError(DataError):
    """No mirror delivered the data; it is missing, not damaged."""


def mirrors_of(entry: DatasetSpec) -> list[str]:
    """Return the base URLs to try, in order, each ending in ``/``.

    ``KILONET_MIRROR``, if set, comes first; it has a folder for each set.
    """
    own = os.environ.get(MIRROR_VARIABLE, "").rstrip("/")
    return [f"{own}/{entry.folder}/", *entry.mirrors] if own else list(entry.mirrors)


def download(entry: DatasetSpec, directory: Path, reporter: Reporter | None = None) -> Path:
    """Download missing files of the set into ``directory/FOLDER`` and return that folder.

    A file gets its name after its MD5 is checked, so that a broken download leaves nothing behind
    and a second call downloads only missing files. ``reporter`` gets a task per file.

    Raises:
        DownloadError: no mirror delivers a file.
        DataError: the folder cannot be written.
        MissingExtraError: pooch is not installed.
    """
    folder = directory / entry.folder
    mirrors = mirrors_of(entry)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _quiet_pooch():
            for file in entry.downloads:
                _fetch(entry, file, folder, mirrors, reporter or Reporter())
    except OSError as error:
        raise DataError(
            f"{folder} cannot be written ({error.strerror or error}); downloads go there. "
            "Make room or make it writable, or name a folder that holds the files "
            "(--data-dir or KILONET_DATA)."
        ) from error
    return folder


def _fetch(
    entry: DatasetSpec, file: FileSpec, folder: Path, mirrors: list[str], reporter: Reporter
) -> None:
    import requests

    failures = []
    for mirror in tuple(mirrors):
        try:
            _fetch_from(mirror, file, folder, reporter)
            return
        except (requests.RequestException, ValueError) as error:
            failures.append(f"{mirror} ({_reason(error)})")
            # The next files try working mirrors first.
            mirrors.remove(mirror)
            mirrors.append(mirror)
    raise DownloadError(
        f"{file.filename} of {entry.title} could not be downloaded from any mirror: "
        f"{', '.join(failures)}. {_by_hand(entry)}"
    )


def _fetch_from(mirror: str, file: FileSpec, folder: Path, reporter: Reporter) -> None:
    import pooch

    progress = _DownloadProgress(file.filename, reporter)
    with closing(progress):
        # "identity": otherwise a server may send .gz as an encoding, which is then unpacked.
        downloader = pooch.HTTPDownloader(
            progressbar=progress, timeout=_TIMEOUT, headers={"Accept-Encoding": "identity"}
        )
        pooch.retrieve(
            url=mirror + file.filename,
            known_hash=f"md5:{file.md5}",
            fname=file.filename,
            path=folder,
            downloader=downloader,
        )


class _DownloadProgress:
    """A progress bar as pooch expects it, which passes everything on to ``reporter``."""

    def __init__(self, filename: str, reporter: Reporter) -> None:
        self._filename = filename
        self._reporter = reporter
        self._total = self._completed = 0

    @property
    def total(self) -> int:
        """The size of the file in bytes; pooch sets it when the server has sent it."""
        return self._total

    @total.setter
    def total(self, size: int) -> None:
        self._total = size
        self._reporter.task_started(self._filename, size, "B")

    def update(self, size: int) -> None:
        """Add ``size`` bytes to those that have arrived."""
        self._completed = min(self._completed + size, self._total)
        self._reporter.task_progress(self._completed)

    def reset(self) -> None:
        """Count from 0 again."""
        self._completed = 0

    def close(self) -> None:
        """End the task; pooch does it too where the download succeeds."""
        self._reporter.task_done()


@contextmanager
def _quiet_pooch() -> Iterator[None]:
    """Suppress pooch's messages about every file on standard error."""
    try:
        import pooch
    except ImportError as error:
        raise import_failure("train", "pooch", error) from error
    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _reason(error: Exception) -> str:
    import requests

    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"HTTP status {error.response.status_code}"
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    # Other errors are pooch's: a wrong checksum.
    named = isinstance(error, requests.RequestException)
    return type(error).__name__ if named else "wrong checksum"


def _by_hand(entry: DatasetSpec) -> str:
    names = ", ".join(file.filename for file in entry.downloads)
    return (
        f"Run again with a network, or get {names} elsewhere (see {entry.homepage}), "
        f"put them into DIR/{entry.folder}/ and name DIR with --data-dir DIR or KILONET_DATA=DIR."
    )
