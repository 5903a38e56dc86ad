"""Keep up ``docs/studies.md``: its example's output and its goals, from ``results/studies.json``.

python scripts/studies/page.py [--check]
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from goals import Goal, goals_table
from kilonet.errors import RunError
from rendering import write_or_check
from reproduction.words import NONE

MOST_OVERHEAD, LEAST_SPEEDUP, MOST_SECONDS = 0.03, 1.8, 60


def changed(page: str, results: Path) -> str:
    """Return the text of the page with what was measured.

    Raises:
        RunError: the results, or the places for them, are not there.
    """
    path = results / "studies.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise RunError(f"{path} cannot be read: run python scripts/measure_studies.py") from None
    shown = f"```console\n$ {found['example']['command']}\n{found['example']['said']}\n```"
    page = _filled(page, "example", shown)
    return _filled(page, "goals", goals_table(goals(found)))


def goals(found: dict[str, Any]) -> list[Goal]:
    """Return what was set out for and what was reached."""
    return [_killed(found), _seconds(found), _overhead(found), _speedup(found)]


def _killed(found: dict[str, Any]) -> Goal:
    figure, goal = "twenty runs, killed at random ten times", "the table of an undisturbed study"
    if "killed" not in found:
        return Goal(figure, goal, NONE, None)
    same = found["killed"]["same_table"]
    reached = f"{'the same' if same else 'another'}, after {found['killed']['kills']} kills"
    return Goal(figure, goal, reached, same)


def _seconds(found: dict[str, Any]) -> Goal:
    seconds = found["example"]["seconds"]
    return Goal("the example above", "under a minute", f"{seconds:.0f} s", seconds < MOST_SECONDS)


def _overhead(found: dict[str, Any]) -> Goal:
    figure, goal = "time of a study over its runs alone, two cores", f"≤ {MOST_OVERHEAD:.0%} more"
    if "overhead" not in found:
        return Goal(figure, goal, NONE, None)
    ratios = found["overhead"]["ratios"]
    reached = " and ".join(f"{100 * (ratio - 1):+.1f} %" for ratio in ratios)
    return Goal(figure, goal, reached, sum(ratios) / len(ratios) - 1 <= MOST_OVERHEAD)


def _speedup(found: dict[str, Any]) -> Goal:
    figure, goal = "Ray, two workers against one", f"≥ {LEAST_SPEEDUP:g}×"
    if "ray" not in found:
        return Goal(figure, goal, NONE, None)
    speedup, reached = found["ray"]["speedup"], f"{found['ray']['speedup']:.2f}×"
    if "plain" in found:
        reached += f"; two plain processes against one: {found['plain']['speedup']:.2f}×"
    return Goal(figure, goal, reached, speedup >= LEAST_SPEEDUP)


def _filled(page: str, name: str, text: str) -> str:
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if not pattern.search(page):
        raise RunError(f"docs/studies.md has no place for {name}: {begin} … {end}")
    return pattern.sub(lambda _: f"{begin}\n\n{text}\n\n{end}", page)


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line asks."""
    return write_or_check("studies", changed, __doc__ or "", arguments)


if __name__ == "__main__":
    sys.exit(main())
