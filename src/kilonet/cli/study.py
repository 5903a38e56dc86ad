"""``kilonet study``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from kilonet.cli.console import output, say, show
from kilonet.cli.options import AsJson, DataDir
from kilonet.cli.train import split_words
from kilonet.extras import require
from kilonet.openmp import share_the_machine


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
        int, typer.Option("--seeds", metavar="N", help="Runs of each cell, a seed each.")
    ] = 5,
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
    require("train")
    share_the_machine()
    from kilonet.api.study import study as carried_out

    console = None if as_json else output()
    done = carried_out(
        recipe,
        vary=vary or [],
        seeds=seeds,
        overrides=overrides,
        baseline=baseline,
        threshold=threshold,
        name=name,
        jobs=jobs,
        on=on,
        address=address,
        data_dir=Path(data_dir) if data_dir is not None else None,
        console=console,
    )
    from kilonet.api.study_show import as_text, study_tables

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
