"""The ``kilonet`` command: its subcommands, error messages and exit status."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer
from typer.exceptions import TyperException

from kilonet import __version__
from kilonet.cli import (
    benchmark,
    data,
    evaluate,
    export,
    models,
    predict,
    runs,
    serve,
    study,
    train,
)
from kilonet.cli.common import Flag, print_error, replace_unencodable
from kilonet.errors import KilonetError

TRACEBACK_VARIABLE = "KILONET_TRACEBACK"
STOPPED = 130  # 128 + SIGINT, as in shells

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Train, measure and compare image classifiers counted in kilo-parameters.",
)
app.add_typer(models.recipes_app, name="recipes")
app.command("train")(train.train)
app.command("study")(study.study)
app.command("compare")(evaluate.compare)
app.command("lr-find")(train.lr_find)
app.command("evaluate")(evaluate.evaluate)
app.command("predict")(predict.predict)
app.command("export")(export.export)
app.command("benchmark")(benchmark.benchmark)
app.command("serve")(serve.serve)
app.command("summary")(models.summary)
app.command("check")(evaluate.check)
app.command("runs")(runs.runs)
app.command("models")(models.models)
app.add_typer(data.app, name="data")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"kilonet {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, Flag("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Train, measure and compare image classifiers counted in kilo-parameters."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with 0 on success, 2 for wrong usage, 1 for a failure."""
    replace_unencodable()
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: list[str]) -> int:
    """Run the command line and return its exit status; print one message on failure."""
    try:
        status = _invoke(arguments)
        sys.stdout.flush()
        return status
    except KilonetError as error:
        return _fail(str(error), error.exit_code)
    except TyperException as error:
        return _fail(_usage(error), 2)
    except KeyboardInterrupt as stop:  # ``Stopped`` says how to resume
        return _fail(str(stop) or "Stopped.", STOPPED)
    except BrokenPipeError:
        return _pipe_closed()
    except Exception as error:
        if os.environ.get(TRACEBACK_VARIABLE):
            raise
        return _fail(_unexpected(error), 1)


def _invoke(arguments: list[str]) -> int:
    """Call ``app`` like ``app(arguments)``, but leave Ctrl-C and closed pipes to ``run``."""
    command = typer.main.get_command(app)
    try:
        with command.make_context("kilonet", [*arguments] or ["--help"]) as context:
            result = command.invoke(context)
    except typer.Exit as stop:
        return stop.exit_code
    return result if isinstance(result, int) else 0


def _fail(message: str, status: int) -> int:
    print_error(message)
    return status


def _usage(error: TyperException) -> str:
    context = getattr(error, "ctx", None)
    message = error.format_message().replace("Value error, ", "").rstrip()
    end = "" if message.endswith((".", "?")) else "."
    return f'{message}{end} Try "{context.command_path} --help".' if context else f"{message}{end}"


def _pipe_closed() -> int:
    """Return 0: the reader of the output has ended, as in ``kilonet recipes | head -1``."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes it at exit
    return 0


def _unexpected(error: Exception) -> str:
    what = f"{type(error).__name__}: {error}".splitlines()[0].rstrip(": .")
    return (
        f"{what}. This is a bug in Kilonet. Please report it with the traceback, which "
        f"{TRACEBACK_VARIABLE}=1 before the same command prints."
    )
