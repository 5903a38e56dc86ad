"""The ``kilonet`` command: its subcommands, error messages and exit status."""

from __future__ import annotations

import errno
import os
import signal
import sys
from typing import Annotated

import typer
from typer.exceptions import TyperException

from kilonet import __version__
from kilonet.cli import (
    STOPPED,
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
from kilonet.cli.common import Flag, print_error, replace_by_null, replace_unencodable
from kilonet.errors import KilonetError, is_out_of_memory

TRACEBACK_VARIABLE = "KILONET_TRACEBACK"
NO_MEMORY = "There is not enough memory. Close other programs."
_WRITE_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)
INTERRUPTED = STOPPED + signal.SIGINT

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


def run(arguments: list[str]) -> int:
    """Run the command line and return its exit status; print one message on failure."""
    replace_unencodable()
    try:
        status = _invoke(arguments)
        sys.stdout.flush()
        return status
    except KilonetError as error:
        return _fail(str(error), error.exit_code)
    except TyperException as error:
        return _fail(_usage(error), 2)
    except KeyboardInterrupt as stop:  # ``Stopped`` says how to resume
        return _fail(str(stop) or "Stopped.", INTERRUPTED)
    except OSError as error:
        return _system_error(error)
    except Exception as error:
        if os.environ.get(TRACEBACK_VARIABLE):
            raise
        return _fail(_unexpected(error), 1)
    finally:
        _flush()


def _invoke(arguments: list[str]) -> int:
    """Call ``app`` like ``app(arguments)``, but leave Ctrl-C and closed pipes to ``run``."""
    command = typer.main.get_command(app)
    try:
        with command.make_context("kilonet", [*arguments] or ["--help"]) as context:
            result = command.invoke(context)
    except typer.Exit as stop:
        return stop.exit_code
    except SystemExit as stop:
        if isinstance(stop.__context__, BrokenPipeError):  # Rich exits so while it prints help
            raise stop.__context__ from None
        raise
    return result if isinstance(result, int) else 0


def _fail(message: str, status: int) -> int:
    print_error(message)
    return status


def _usage(error: TyperException) -> str:
    context = getattr(error, "ctx", None)
    message = error.format_message().replace("Value error, ", "").rstrip()
    end = "" if message.endswith((".", "?")) else "."
    return f'{message}{end} Try "{context.command_path} --help".' if context else f"{message}{end}"


def _system_error(error: OSError) -> int:
    """Return the exit status for an error of the system, which is no mistake in Kilonet.

    It is 0 if the reader of the output has ended, as in ``kilonet recipes | head -1``.
    """
    if isinstance(error, BrokenPipeError):
        replace_by_null(sys.stdout)
        return 0
    if os.environ.get(TRACEBACK_VARIABLE):
        raise error
    reason = error.strerror or str(error) or type(error).__name__
    if is_out_of_memory(error):
        return _fail(NO_MEMORY, 1)
    if error.filename:
        return _fail(f"{error.filename}: {reason}.", 1)
    wrote = error.errno in _WRITE_ERRORS
    return _fail(f"Cannot write the output: {reason}." if wrote else f"{reason}.", 1)


def _flush() -> None:
    try:
        sys.stdout.flush()
    except OSError:
        replace_by_null(sys.stdout)  # Python would try again at exit, and print a traceback


def _unexpected(error: Exception) -> str:
    if is_out_of_memory(error):
        return NO_MEMORY
    if isinstance(error, ImportError) and not (error.name or "kilonet").startswith("kilonet"):
        return (
            f'The package "{error.name}" cannot be loaded: {error}. Free some memory, or install '
            "the package again."
        )
    what = f"{type(error).__name__}: {error}".splitlines()[0].rstrip(": .")
    return (
        f"{what}. This is a bug in Kilonet. Please report it with the traceback, which "
        f"{TRACEBACK_VARIABLE}=1 before the same command prints."
    )
