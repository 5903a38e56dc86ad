"""The command line of the benchmarks: one message for each mistake."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from benchmarks.contest import ROOT, BenchmarkError
from benchmarks.entries import PLAIN, Settings
from benchmarks.full import train_plain

from benchmarks import __main__ as command


def given(*words: str) -> object:
    return command.parser().parse_args(words)


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["benchmarks", *words])
    return command.main()


def test_unknown_tables_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        run(monkeypatch, "speed")
    assert stopped.value.code == 2
    assert "no such table: speed; choose from throughput" in capsys.readouterr().err


def test_a_mistake_is_one_message(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(monkeypatch, "--peers", str(tmp_path / "nowhere"), "pieces") == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert "is not there" in captured.err


def test_quick_means_few_steps_and_another_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "mnist_folder", lambda: "/data")
    settings = command.settings_of(given("--quick", "--peers", sys.executable))  # type: ignore[arg-type]
    assert (settings.rounds, settings.steps, settings.lead_in) == (2, 2, 0)
    assert settings.quick
    usual = command.settings_of(given("--peers", sys.executable))  # type: ignore[arg-type]
    assert (usual.rounds * usual.steps, usual.quick) == (200, False)


def test_the_plain_loop_is_run_as_its_own_command(few_digits: Path) -> None:
    settings = Settings(Path(sys.executable), str(few_digits))
    seconds, accuracy = train_plain(PLAIN, settings, epochs=1, seed=0)
    assert seconds > 0
    # Of twelve test images: the accuracy is a whole number of twelfths.
    assert round(accuracy * 12) / 12 == pytest.approx(accuracy, abs=1e-4)


def test_a_run_that_fails_is_named(tmp_path: Path) -> None:
    settings = Settings(Path(sys.executable), str(tmp_path))
    with pytest.raises(BenchmarkError, match=r"plain_loop\.py .* failed: FileNotFoundError"):
        train_plain(PLAIN, settings, epochs=1, seed=0)


def test_make_bench_installs_what_is_pinned_and_calls_the_command() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    recipe = text.partition("\nbench:")[2].partition("\n\n")[0]
    assert "-m benchmarks" in recipe
    assert "benchmarks/requirements.txt" in text
