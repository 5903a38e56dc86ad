"""``kilonet study``."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from kilonet.cli.console import output, say, show
from kilonet.cli.options import AsJson, DataDir
from kilonet.cli.reporter import ConsoleReporter
from kilonet.cli.train import split_words
from kilonet.errors import UsageError
from kilonet.extras import require
from kilonet.openmp import share_the_machine

if TYPE_CHECKING:
    from kilonet.studies.search import Best


def study(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="RECIPE|FILE.toml [KEY=VALUE...]",
            help="What to train, and keys to change in all of it.",
        ),
    ],
    vary: Annotated[
        list[str] | None,
        typer.Option(
            "--vary",
            metavar="KEY=A,B,...",
            help="Values to compare, such as optimizer.name=adam,sgd; several make a grid. A whole "
            'section is one value: optimizer={name="adam",lr=0.01},{name="sgd",lr=0.1}',
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option("--seeds", metavar="N", help="Runs of each cell, a seed each (default: 5)."),
    ] = None,
    search: Annotated[
        list[str] | None,
        typer.Option(
            "--search",
            metavar="KEY=log(A,B)",
            help="Search, by validation images: log(A,B), uniform(A,B), int(A,B) or A,B,...",
        ),
    ] = None,
    trials: Annotated[
        int | None,
        typer.Option("--trials", metavar="N", help="Values that a search tries (default: 20)."),
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(
            "--baseline", metavar="CELL", help="What the others are compared with (default: first)."
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            "--threshold",
            metavar="X",
            help="Validation accuracy whose epoch is compared, such as 0.97 (default: the highest "
            "round one that all reach).",
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--name",
            metavar="NAME",
            help="The study's directory, in KILONET_STUDIES or ./studies (default: from the line).",
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", metavar="N", help="Runs at a time here (default: a core each)."),
    ] = None,
    on: Annotated[
        Literal["local", "ray"], typer.Option("--on", help="Where the runs are made.")
    ] = "local",
    address: Annotated[
        str,
        typer.Option("--address", metavar="auto|HOST:PORT", help="The Ray cluster."),
    ] = "auto",
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Train a grid of recipes with several seeds each, and say what differs, how surely.

    The same line again goes on where it stopped.
    """
    recipe, overrides = split_words(words)
    alone: dict[str, object] = {
        "vary": vary,
        "seeds": seeds,
        "baseline": baseline,
        "threshold": threshold,
    }
    _check_together(bool(search), alone, trials)
    require("train")
    share_the_machine()
    if search:
        from kilonet.workflows.study_search import TRIALS
        from kilonet.workflows.study_search import search as searched

        best = searched(
            recipe,
            space=search,
            trials=TRIALS if trials is None else trials,
            overrides=overrides,
            name=name,
            jobs=jobs,
            on=on,
            address=address,
            data_dir=data_dir,
            reporter=None if as_json else ConsoleReporter(output()),
        )
        _print_best(best, [recipe, *overrides], as_json)
        return
    from kilonet.workflows.study import SEEDS
    from kilonet.workflows.study import study as carried_out

    console = None if as_json else output()
    done = carried_out(
        recipe,
        vary=vary or [],
        seeds=SEEDS if seeds is None else seeds,
        overrides=overrides,
        baseline=baseline,
        threshold=threshold,
        name=name,
        jobs=jobs,
        on=on,
        address=address,
        data_dir=data_dir,
        console=console,
        reporter=ConsoleReporter(console) if console else None,
    )
    from kilonet.workflows.study_show import as_text, study_tables

    if as_json:
        typer.echo(as_text(done))
        return
    say("")
    for table in study_tables(done):
        show(table)
        say("")
    for answer in done.answers:
        say(answer)
    say(f"Report: {done.report}")


def _check_together(search: bool, alone: dict[str, object], trials: int | None) -> None:
    given = [name for name, value in alone.items() if value is not None]
    if search and given:
        raise UsageError(
            f"--search decides with one seed; --{given[0]} belongs to the study that follows it. "
            "Leave it out."
        )
    if not search and trials is not None:
        raise UsageError("--trials belongs to --search. Add that, or leave it out.")


def _print_best(best: Best, words: list[str], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(asdict(best), indent=1, ensure_ascii=False))
        return
    say(
        f"Best of {best.finished} finished and {best.pruned} given up: {' '.join(best.words)}, "
        f"{best.accuracy:.2%} on validation images (trial-{best.trial})."
    )
    say(f"With several seeds: {shlex.join(['kilonet', 'study', *words, *best.words])}")
