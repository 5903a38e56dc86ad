"""Progress: one line an epoch or a run, and on a terminal a bar."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from kilonet.cli.reporter import ConsoleReporter
from kilonet.progress import Row
from kilonet.studies.coordinator import RunFailed, RunFinished, RunLost
from kilonet.studies.directory import StudyDirectory
from kilonet.studies.plan import parse_request
from kilonet.studies.study import study_messages
from trained import EPOCH_LINE as LINE
from trained import EPOCH_ROW as ROW
from trained import finish_run, start_run

BAR_REMOVED = "\x1b[2K\x1b[?25h"  # the line is empty, the cursor is back


def output(terminal: bool, width: int, row: Row = ROW) -> str:
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=width, legacy_windows=False)
    with ConsoleReporter(console) as reporter:
        for epoch in (3, 4):
            reporter.epoch_started(epoch, 15, 55_000)
            reporter.batch_done(12_800, 0.2345, 0.9312, 123_456.7)
            reporter.batch_done(25_600, 0.1234, 0.9612, 123_456.7)
            reporter._progress.refresh()
            reporter.epoch_done(row | {"epoch": epoch}, is_best=epoch == 3)
    return file.getvalue()


@pytest.mark.parametrize("width", [20, 80, 200])
def test_elsewhere_one_line_an_epoch(width: int) -> None:
    lines = output(terminal=False, width=width).splitlines()
    assert lines == [LINE, LINE.replace(" 3/", " 4/").replace(" *", "")]


def test_on_a_terminal_a_bar_with_everything_in_80_columns() -> None:
    written = output(terminal=True, width=80)
    frames = [_plain(part) for part in re.split(r"[\r\n]+", written)]
    bars = [frame for frame in frames if frame.startswith("epoch 3/15 ━")]
    assert bars
    assert all(len(bar.rstrip()) <= 80 for bar in bars)
    assert any(
        re.fullmatch(
            r"epoch 3/15 [━╸╺ ]+ 47% loss 0\.1234  accuracy 96\.12%  123,457 images/s [-\d:]+",
            bar.rstrip(),
        )
        for bar in bars
    )
    assert written.rstrip().endswith(BAR_REMOVED)
    assert LINE in [_plain(frame) for frame in frames]


def _plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def test_batches_before_the_first_epoch_are_no_error() -> None:
    with ConsoleReporter(Console(file=io.StringIO())) as reporter:
        reporter.batch_done(1, 0.0, 1.0, 1.0)


def test_the_bar_ends_when_training_fails() -> None:
    file = io.StringIO()
    with (
        pytest.raises(RuntimeError),
        ConsoleReporter(Console(file=file, force_terminal=True, width=80)) as reporter,
    ):
        reporter.epoch_started(1, 2, 100)
        raise RuntimeError
    assert "\x1b[?25h" in file.getvalue()  # the cursor is back


def test_a_download_shows_its_bytes_and_messages_stay_as_they_are() -> None:
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=80, legacy_windows=False)
    with ConsoleReporter(console) as reporter:
        reporter.message("[bold] :smile:")
        reporter.task_started("images.gz", 2_000, "B")
        reporter.task_progress(1_000)
        reporter._progress.refresh()
        reporter.task_done()
        reporter.task_done()
    frames = [_plain(part).rstrip() for part in re.split(r"[\r\n]+", file.getvalue())]
    assert frames[0] == "[bold] :smile:"
    assert any(
        re.fullmatch(r"images\.gz [━╸╺ ]+ 50% 1\.0/2\.0 kB [-\d:]+", line) for line in frames
    )
    assert file.getvalue().rstrip().endswith(BAR_REMOVED)


def study_output(terminal: bool, tmp_path: Path) -> str:
    """Return what is printed about a study of two runs: one finishes, one loses its worker."""
    vary = ["optimizer.name=adam,sgd"]
    request = parse_request("quick", vary, 1, ["data.name=digits"], None, tmp_path / "two")
    study = StudyDirectory(request.path, request.plan())
    finish_run(start_run("optimizer.name=adam", path=study.runs / "adam-s0"), 0.95)
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=100, legacy_windows=False)
    with ConsoleReporter(console) as reporter:
        report = study_messages(study, reporter, finished=0)
        report(RunFinished("adam-s0"))
        reporter._progress.refresh()
        report(RunLost("sgd-s0", "exit status -9"))
        report(RunFailed("sgd-s0", "the loss is not finite", fatal=False))
    return _plain(file.getvalue())


STUDY_LINES = [
    "adam-s0: 95.00% on test images (1 of 2 runs)",
    "sgd-s0 lost its worker (exit status -9) and is started again.",
    "sgd-s0 failed: the loss is not finite",
]


def test_a_study_is_one_line_for_each_run(tmp_path: Path) -> None:
    assert study_output(terminal=False, tmp_path=tmp_path).splitlines() == STUDY_LINES


def test_a_study_on_a_terminal_also_shows_a_bar(tmp_path: Path) -> None:
    lines = [line.rstrip() for line in re.split(r"[\r\n]+", study_output(True, tmp_path))]
    assert [line for line in lines if line in STUDY_LINES] == STUDY_LINES
    assert any(re.match(r"two [━╸╺ ]+ 50%", line) for line in lines)
