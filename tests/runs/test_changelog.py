"""The change log of a folder of runs."""

from __future__ import annotations

import json
from pathlib import Path

from kilonet.files import runs_dir
from kilonet.recipe.load import resolve
from kilonet.runs import layout
from kilonet.runs.changelog import Change, ChangeLogEntry, change_log, differences
from kilonet.runs.find import list_runs
from trained import finish_run, history_row, start_run


def entries() -> list[ChangeLogEntry]:
    found, damaged = change_log(list_runs(runs_dir()).runs)
    assert damaged == []
    return found


def changes(before: list[str], after: list[str]) -> list[str]:
    first, second = (resolve("quick", words).recipe for words in (before, after))
    return [f"{change.key}: {change}" for change in differences(first, second)]


def test_a_finished_run() -> None:
    finish_run(start_run("training.epochs=2"), accuracy=0.9)
    assert entries() == [
        ChangeLogEntry(
            name="quick-1",
            parameters=20_000,
            network="conv-stack c20k5s2 c32 M c48 M3 fc",
            dataset="digits",
            epochs=2,
            epochs_planned=2,
            finished=True,
            optimizer="adamw",
            learning_rate=0.015,
            schedule="one-cycle",
            train_accuracy=0.89,
            validation_accuracy=0.9,
            test_accuracy=0.9,
            changed=None,
        )
    ]


def test_an_unfinished_run_shows_its_latest_epoch() -> None:
    run = start_run("training.epochs=4").update_facts(parameters=22_214)
    run.write_history([history_row(1, 0.5), history_row(2, 0.25)])
    (entry,) = entries()
    assert (entry.epochs, entry.epochs_planned, entry.finished) == (2, 4, False)
    assert (entry.parameters, entry.validation_accuracy) == (22_214, 0.25)
    assert entry.test_accuracy is None


def test_a_run_without_an_epoch() -> None:
    start_run()
    (entry,) = entries()
    assert (entry.epochs, entry.parameters, entry.train_accuracy) == (0, None, None)


def test_the_row_is_the_epoch_of_the_evaluated_weights() -> None:
    for keep, expected in (("best", 0.9), ("last", 0.5)):
        run = finish_run(start_run("training.epochs=3", f"training.keep={keep}"))
        run.write_history([history_row(1, 0.1), history_row(2, 0.9), history_row(3, 0.5)])
        run.write_json(layout.METRICS, {**run.metrics(), "best_epoch": 2})
        assert entries()[-1].validation_accuracy == expected


def test_changes_since_the_run_before() -> None:
    finish_run(start_run())
    finish_run(start_run("optimizer.lr=0.05", "training.seed=1"))
    finish_run(start_run("optimizer.lr=0.05", "training.seed=1", "title=other"))
    first, second, third = entries()
    assert first.changed is None
    assert second.changed == [
        Change("optimizer.lr", 0.015, 0.05),
        Change("training.seed", 0, 1),
    ]
    assert third.changed == []
    assert first.summary()[1:] == ["first run"]
    assert second.summary()[1:] == ["optimizer: lr 0.015 → 0.05", "training: seed 0 → 1"]
    assert third.summary()[1:] == ["the same recipe again"]


def test_damaged_runs_are_named_and_left_out() -> None:
    finish_run(start_run())
    for name in (layout.RECIPE, layout.HISTORY, layout.METRICS):
        finish_run(start_run()).file(name).write_text("{", encoding="utf-8")
    finish_run(start_run("training.seed=2"))
    found, damaged = change_log(list_runs(runs_dir()).runs)
    assert [entry.name for entry in found] == ["quick-1", "quick-5"]
    assert found[1].changed == [Change("training.seed", 0, 2)]
    assert [Path(message.split(" is ")[0]).parent.name for message in damaged[1:]] == [
        "quick-3",
        "quick-4",
    ]
    assert "quick-2/recipe.toml" in damaged[0]


def test_differences() -> None:
    assert changes([], []) == []
    assert changes([], ["title=x", "constraints=off"]) == []
    assert changes([], ["training.ema=0.99"]) == ["training.ema: ema off → 0.99"]
    assert changes([], ["training.deterministic=true"]) == [
        "training.deterministic: deterministic false → true"
    ]


def test_keys_that_follow_from_another_name_are_not_listed() -> None:
    assert changes([], ["optimizer.name=sgd"]) == [
        "optimizer.name: name adamw → sgd",
        "optimizer.lr: lr 0.015 → 0.1",
        "optimizer.weight_decay: weight_decay 0.01 → 0",
    ]
    assert changes([], ["schedule=off"]) == ["schedule.name: name one-cycle → none"]


def test_entries_are_plain_json() -> None:
    finish_run(start_run())
    finish_run(start_run("training.ema=0.9"))
    rows = json.loads(json.dumps([entry.to_json() for entry in entries()]))
    assert rows[0]["changed"] is None
    assert rows[1]["changed"] == [{"key": "training.ema", "old": None, "new": 0.9}]
