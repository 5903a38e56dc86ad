"""``kilonet study``."""

from __future__ import annotations

import shlex
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from kilonet.cli.common import (
    AsJson,
    DataDir,
    output,
    print_json,
    print_line,
    print_table,
    require_with,
    split_words,
)
from kilonet.errors import UsageError
from kilonet.extras import require
from kilonet.text import printable_json

if TYPE_CHECKING:
    from kilonet.studies.study import Study
    from kilonet.studies.trials import BestTrial


def study(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="RECIPE|FILE.toml [KEY=VALUE...]",
            help="The recipe, and keys to change in all cells.",
        ),
    ],
    vary: Annotated[
        list[str] | None,
        typer.Option(
            "--vary",
            metavar="KEY=A,B,...",
            help="Values to compare, such as optimizer.name=adam,sgd; several options make a grid. "
            "A whole section can be one value: "
            'optimizer={name="adam",lr=0.01},{name="sgd",lr=0.1}',
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option("--seeds", metavar="N", help="Seeds, and so runs, of each cell (default: 5)."),
    ] = None,
    search: Annotated[
        list[str] | None,
        typer.Option(
            "--search",
            metavar="KEY=log(A,B)",
            help="Search the best value by validation accuracy: log(A,B), uniform(A,B), int(A,B) "
            "or A,B,...",
        ),
    ] = None,
    trials: Annotated[
        int | None,
        typer.Option("--trials", metavar="N", help="Values that a search tries (default: 20)."),
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(
            "--baseline",
            metavar="CELL",
            help="The cell that the others are compared with (default: first).",
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            "--threshold",
            metavar="X",
            help="Compare the epochs until this validation accuracy, such as 0.97 (default: the "
            "highest round one that all runs reach).",
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--name",
            metavar="NAME",
            help="The study's directory, in KILONET_STUDIES or ./studies (default: made from the "
            "arguments).",
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs", metavar="N", help="Runs at a time on this machine (default: one per core)."
        ),
    ] = None,
    on: Annotated[
        Literal["local", "ray"],
        typer.Option("--on", help="Train on this machine or on a Ray cluster."),
    ] = "local",
    address: Annotated[
        str, typer.Option("--address", metavar="auto|HOST:PORT", help="The Ray cluster.")
    ] = "auto",
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Train a grid of recipes with several seeds each, and compare them statistically.

    Repeat the same command to resume a study that was stopped.
    """
    recipe, overrides = split_words(words)
    grid_options: dict[str, Any] = {
        "vary": vary,
        "seeds": seeds,
        "baseline": baseline,
        "threshold": threshold,
    }
    _check_together(bool(search), grid_options, trials)
    require("train")
    from kilonet.machine import limit_openmp_spinning

    limit_openmp_spinning()
    from kilonet.cli.reporter import ConsoleReporter
    from kilonet.progress import Reporter

    shared: dict[str, Any] = {
        "overrides": overrides,
        "name": name,
        "jobs": jobs,
        "on": on,
        "address": address,
        "data_dir": data_dir,
    }
    with nullcontext(Reporter()) if as_json else ConsoleReporter(output(progress=True)) as reporter:
        if search:
            from kilonet.studies.search import TRIALS
            from kilonet.studies.search import search as run_search

            best = run_search(
                recipe, space=search, trials=_given(trials, TRIALS), reporter=reporter, **shared
            )
        else:
            from kilonet.studies.study import SEEDS
            from kilonet.studies.study import study as run_study

            grid_options |= {"vary": vary or (), "seeds": _given(seeds, SEEDS)}
            result = run_study(recipe, reporter=reporter, **grid_options, **shared)
    if search:
        _print_best(best, [recipe, *overrides], as_json)
    else:
        _print_study(result, as_json)


def _given(number: int | None, default: int) -> int:
    return default if number is None else number


def _check_together(search: bool, grid_options: dict[str, Any], trials: int | None) -> None:
    given = [name for name, value in grid_options.items() if value is not None]
    if search and given:
        raise UsageError(
            f"--search uses one seed; --{given[0]} belongs to the study that you run after it. "
            "Leave it out."
        )
    require_with("search", search, {"trials": trials})


def _print_study(study: Study, as_json: bool) -> None:
    from kilonet.cli.tables import study_tables
    from kilonet.studies.results import json_text

    if as_json:
        typer.echo(printable_json(json_text(study.analysis)))
        return
    print_line("")
    for table in study_tables(study):
        print_table(table)
        print_line("")
    for answer in study.answers:
        print_line(answer)
    print_line(f"Report: {study.report}")


def _print_best(best: BestTrial, words: list[str], as_json: bool) -> None:
    if as_json:
        print_json(best.to_json())
        return
    print_line(
        f"Best of {best.finished} finished trials ({best.pruned} stopped early): "
        f"{' '.join(best.overrides)}, {best.accuracy:.2%} on validation images "
        f"(trial-{best.trial})."
    )
    print_line(f"With several seeds: {shlex.join(['kilonet', 'study', *words, *best.overrides])}")
