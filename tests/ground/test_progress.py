"""What a reporter receives, and one line per epoch."""

from __future__ import annotations

import pytest

from kilonet.progress import PrintReporter, Reporter, epoch_line, track
from trained import EPOCH_LINE as LINE
from trained import EPOCH_ROW as ROW


def test_line_without_validation() -> None:
    row = {key: value for key, value in ROW.items() if not key.startswith("validation")}
    assert epoch_line(row, 3, is_best=True) == (
        "epoch 3/3  |  train loss 0.1235 accuracy 96.13%  |  12,346 images/s"
    )


def test_print_reporter(capsys: pytest.CaptureFixture[str]) -> None:
    reporter = PrintReporter()
    reporter.message("Note: [bold]")
    reporter.epoch_started(3, 15, 55_000)
    reporter.batch_done(12_800, 0.2345, 0.9312, 123_456.7)
    reporter.epoch_done(ROW, is_best=True)
    assert capsys.readouterr() == (f"Note: [bold]\n{LINE}\n", "")


def test_track_reports_each_item_and_the_end_after_an_error() -> None:
    class Recorder(Reporter):
        events: list[tuple[str | int, ...]]

        def task_started(self, description: str, total: int, unit: str = "") -> None:
            self.events = [(description, total, unit)]

        def task_progress(self, completed: int) -> None:
            self.events.append((completed,))

        def task_done(self) -> None:
            self.events.append(("done",))

    reporter = Recorder()
    assert list(track("ab", "letters", 2, reporter)) == ["a", "b"]
    assert reporter.events == [("letters", 2, ""), (1,), (2,), ("done",)]
    with pytest.raises(ZeroDivisionError):
        list(track((1 // n for n in (1, 0)), "numbers", 2, reporter))
    assert reporter.events == [("numbers", 2, ""), (1,), ("done",)]


def test_silent(capsys: pytest.CaptureFixture[str]) -> None:
    reporter = Reporter()
    reporter.message("text")
    reporter.task_started("task", 1)
    reporter.task_progress(1)
    reporter.task_done()
    reporter.epoch_started(1, 2, 3)
    reporter.batch_done(1, 2.0, 0.5, 4.0)
    reporter.epoch_done(ROW, is_best=True)
    assert capsys.readouterr() == ("", "")
