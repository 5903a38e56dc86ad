"""``kilonet lr-find``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kilonet.cli.console import output, say
from kilonet.cli.options import DataDir
from kilonet.cli.reporter import ConsoleReporter
from kilonet.cli.train import split_words
from kilonet.extras import require
from kilonet.openmp import share_the_machine


def lr_find(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="RECIPE|FILE.toml [KEY=VALUE...]", help="The recipe, and keys to change in it."
        ),
    ],
    low: Annotated[float, typer.Option("--low", metavar="RATE", help="The first rate.")] = 1e-6,
    high: Annotated[float, typer.Option("--high", metavar="RATE", help="The last rate.")] = 10.0,
    steps: Annotated[int, typer.Option("--steps", metavar="N", help="Steps between them.")] = 200,
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE.png", help="The picture (default: lr-find.png).")
    ] = Path("lr-find.png"),
    data_dir: DataDir = None,
) -> None:
    """Find a learning rate: train a few steps at rising rates until the loss runs away."""
    recipe, overrides = split_words(words)
    require("train")
    share_the_machine()
    from kilonet.workflows.lr_find import lr_find as found_by

    with ConsoleReporter(output()) as reporter:
        found = found_by(
            recipe,
            overrides=overrides,
            low=low,
            high=high,
            steps=steps,
            out=out,
            data_dir=data_dir,
            reporter=reporter,
        )
    say(
        f"The training loss falls fastest at a learning rate of {found.suggestion:.2g} and is "
        f"lowest at {found.lowest:.2g}; beyond that it runs away."
    )
    say(f"Try: kilonet train {recipe} optimizer.lr={found.suggestion:.2g}")
    say(f"Wrote {out}")
