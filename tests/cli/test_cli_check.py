"""``kilonet check``."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from commands import Command
from golden import assert_golden

from trained import finish_run, start_run


@pytest.fixture
def three_runs() -> None:
    finish_run(start_run(recipe="gap-14k"), accuracy=0.995, parameters=14_210)
    finish_run(start_run("constraints=off"))
    start_run()


@pytest.mark.usefixtures("three_runs")
def test_the_checklist(kilonet: Command) -> None:
    result = kilonet("check", "gap-14k-1")
    assert (result.status, result.err) == (1, "")  # its fake network has no global average pooling
    assert_golden("check", result.out)


@pytest.mark.usefixtures("three_runs")
@pytest.mark.parametrize(
    ("flags", "status", "line"),
    [
        (["--max-parameters", "20000"], 0, "✓ at most 20,000 parameters: 20,000\n"),
        (["--max-parameters", "19999"], 1, "✗ at most 19,999 parameters: 20,000\n"),
        (["--max-epochs", "4"], 0, "✓ at most 4 epochs: 4\n"),
        (["--max-epochs", "3"], 1, "✗ at most 3 epochs: 4\n"),
        (["--min-accuracy", "0.95"], 0, "✓ test accuracy at least 95.00%: 95.00%\n"),
        (["--min-accuracy", "0.96"], 1, "✗ test accuracy at least 96.00%: 95.00%\n"),
        (["--require-layer", "dropout"], 0, "✓ dropout used: present\n"),
        (
            ["--require-layer", "global-average-pooling"],
            1,
            "✗ global average pooling used: absent\n",
        ),
        (
            ["--require-layer", "dropout", "--require-layer", "batch-norm"],
            0,
            "✓ dropout used: present\n✓ batch norm used: present\n",
        ),
    ],
)
def test_flags(kilonet: Command, flags: list[str], status: int, line: str) -> None:
    result = kilonet("check", "quick-1", *flags)
    assert (result.status, result.out, result.err) == (status, line, "")


@pytest.mark.usefixtures("three_runs")
@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (["gap-14k-2"], 2, 'There is no run "gap-14k-2"'),
        (["gap-14k-2"], 2, 'Did you mean "gap-14k-1"?'),
        (["quick-1"], 2, "quick-1 has no constraints to check."),
        (["quick-2"], 1, "has not finished. Resume it: kilonet train --resume"),
        (["quick-1", "--max-parameters", "0"], 2, "--max-parameters must be at least 1, not 0."),
        (["quick-1", "--min-accuracy", "99.4"], 2, "--min-accuracy must be at most 1, not 99.4."),
        (["quick-1", "--require-layer", "relu"], 2, "--require-layer must be 'batch-norm', "),
    ],
)
def test_refused(refused: Callable[..., str], arguments: list[str], status: int, text: str) -> None:
    assert text in refused("check", *arguments, status=status)
