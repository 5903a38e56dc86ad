"""Event files, read back by TensorBoard itself."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import kilonet
from kilonet.errors import MissingExtraError
from kilonet.progress import Reporter
from kilonet.report import tensorboard as events
from kilonet.report.tensorboard import TAGS, TEST_ACCURACY, TEST_LOSS, Events
from kilonet.runs import layout
from kilonet.runs.layout import Row
from kilonet.studies.plan import parse_request
from kilonet.studies.study import resolve_plan
from kilonet.workflows import train as module
from kilonet.workflows.runs import Run
from kilonet.workflows.train import Interrupted

WORDS = ("data.name=digits", "training.epochs=3", "training.threads=1", "model.layers=c4 M c4 M")
LOGGED = (*WORDS, "log.tensorboard=true")


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Return (epoch, value) of every scalar by its tag."""
    read = EventAccumulator(str(folder), purge_orphaned_data=False)
    read.Reload()
    return {
        tag: [(each.step, each.value) for each in read.Scalars(tag)]
        for tag in read.Tags()["scalars"]
    }


def assert_logged(run: Run) -> None:
    """Compare the event files of a finished run with its history and its metrics."""
    found = scalars(run.directory.file(layout.EVENTS))
    columns = {column for row in run.history for column in row}
    assert set(found) == {TAGS[c] for c in TAGS if c in columns} | {TEST_LOSS, TEST_ACCURACY}
    for column, tag in TAGS.items():
        if column in columns:
            wanted = [(int(row["epoch"]), pytest.approx(row[column])) for row in run.history]
            assert found[tag] == wanted
    best = run.directory.metrics()["best_epoch"]
    assert found[TEST_ACCURACY] == [(best, pytest.approx(run.test.accuracy))]
    assert found[TEST_LOSS] == [(best, pytest.approx(run.test.loss))]


def test_a_run_logs_each_epoch_and_its_test(tmp_path: Path) -> None:
    assert_logged(kilonet.train("quick", overrides=LOGGED, out=tmp_path / "run"))


def test_the_log_changes_nothing_of_the_run(tmp_path: Path) -> None:
    logged = kilonet.train("quick", overrides=LOGGED, out=tmp_path / "logged")
    plain = kilonet.train("quick", overrides=WORDS, out=tmp_path / "plain")
    assert not plain.directory.file(layout.EVENTS).exists()
    assert logged.directory.facts["fingerprint"] == plain.directory.facts["fingerprint"]
    for name in (layout.BEST, layout.LAST):
        assert logged.directory.file(name).read_bytes() == plain.directory.file(name).read_bytes()


def test_a_resumed_run_has_each_epoch_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupted when an epoch was logged, and again when one was kept that was not."""
    told = Events.update

    def interrupted_after(self: Events, history: list[Row]) -> None:
        told(self, history)
        if history:
            raise KeyboardInterrupt

    def interrupted_before(self: Events, history: list[Row]) -> None:
        if len(history) > 1:
            raise KeyboardInterrupt
        told(self, history)

    monkeypatch.setattr(Events, "update", interrupted_after)
    with pytest.raises(Interrupted):
        kilonet.train("quick", overrides=LOGGED, out=tmp_path / "run")
    monkeypatch.setattr(Events, "update", interrupted_before)
    with pytest.raises(Interrupted):
        kilonet.resume(tmp_path / "run")
    assert [step for step, _ in scalars(tmp_path / "run" / layout.EVENTS)["loss/train"]] == [1]
    monkeypatch.setattr(Events, "update", told)
    assert_logged(kilonet.resume(tmp_path / "run"))


def test_epochs_lie_as_far_apart_as_they_took(tmp_path: Path) -> None:
    history: list[Row] = [
        {"epoch": epoch, "train_loss": 1.0, "seconds": 10.0} for epoch in (1, 2, 3)
    ]
    log = Events(tmp_path / "events", history)
    log.close()
    read = EventAccumulator(str(tmp_path / "events"))
    read.Reload()
    times = [each.wall_time for each in read.Scalars("loss/train")]
    assert [b - a for a, b in pairwise(times)] == pytest.approx([10, 10])


def test_without_tensorboard_nothing_is_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(extra: str) -> None:
        raise MissingExtraError(extra, extra)

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("a training began")

    monkeypatch.setattr(events, "require", missing)
    monkeypatch.setattr(module, "open_session", never)
    with pytest.raises(MissingExtraError, match=r'pip install "kilonet\[tensorboard\]"'):
        kilonet.train("quick", overrides=LOGGED, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    request = parse_request("quick", (), 1, [*LOGGED], None, tmp_path / "study")
    with pytest.raises(MissingExtraError):
        resolve_plan(request, None, Reporter())
