"""Export finished runs in every format, verify each on the test split, and store the results.

    python experiments/measure_exports.py runs/fast-99.4-1 runs/simple-8k-plus-1

Writes ``results/export-RECIPE.json`` for each. ``--again html`` measures one form
of a run that was measured before, and stores its date and versions beside it.
``--boards`` runs the int8 C on emulated microcontrollers, and writes
``results/boards-RECIPE.json``.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import kilonet
from kilonet.cli.app import run as command
from kilonet.errors import KilonetError, RunError
from kilonet.files import write_text
from kilonet.runs.environment import environment
from kilonet.workflows.runs import Run, find_run

BOARD_IMAGES = 10
RESULTS = Path(__file__).resolve().parents[1] / "results"
FORMS: Mapping[str, Mapping[str, Any]] = {
    "onnx": {"to": "onnx"},
    "onnx-raw": {"to": "onnx", "raw": True},
    "onnx-int8": {"to": "onnx", "int8": True},
    "c": {"to": "c"},
    "c-int8": {"to": "c", "int8": True},
    "html": {"to": "html"},
    "lambda": {"to": "lambda"},
}


def measure(run: Run, folder: Path) -> dict[str, Any]:
    """Return size, agreement and time of each form of ``run``; write the files into ``folder``."""
    forms = [kilonet.export(run, **form, out=folder).to_json() for form in FORMS.values()]
    return {
        "recipe": run.directory.facts["recipe"],
        "run": run.name,
        "parameters": run.directory.metrics()["parameters"],
        "epochs": run.directory.metrics()["epochs"],
        "forms": forms,
        "printed": printed(run, folder),
        "date": datetime.now(UTC).date().isoformat(),
        "environment": environment("cpu", 1),
    }


def printed(run: Run, folder: Path) -> str:
    """Return what the command prints that exports C in int8."""
    with contextlib.redirect_stdout(io.StringIO()) as output:
        command(["export", str(run.path), "--to", "c", "--int8", "--out", str(folder / "again")])
    lines = output.getvalue().splitlines()
    return "\n".join(line for line in lines if not line.startswith("Report:"))


def measure_boards(run: Run) -> dict[str, Any]:
    """Return what the int8 C of ``run`` needs and computes on each emulated microcontroller."""
    return {
        "recipe": run.directory.facts["recipe"],
        **kilonet.benchmark(run, images=BOARD_IMAGES).to_json(),
        "date": datetime.now(UTC).date().isoformat(),
        "environment": environment("cpu", 1) | {"compiler": compiler_version("arm-none-eabi-gcc")},
    }


def compiler_version(compiler: str) -> str:
    """Return the first line that ``compiler`` prints about its version."""
    done = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[0]


def measure_again(run: Run, target: str, folder: Path, before: dict[str, Any]) -> dict[str, Any]:
    """Return ``before``, with the form ``target`` of ``run`` measured again.

    Raises:
        RunError: ``before`` was measured on another run.
    """
    if before["run"] != run.name:
        raise RunError(f"{run.name} was not measured, but {before['run']} was. Leave out --again.")
    form = FORMS[target]
    new = kilonet.export(run, **form, out=folder).to_json()
    forms = [new if old["target"] == target else old for old in before["forms"]]
    when = {"date": datetime.now(UTC).date().isoformat(), "environment": environment("cpu", 1)}
    if target == "c-int8":
        before = {**before, "printed": printed(run, folder)}
    return {**before, "forms": forms, "again": {**before.get("again", {}), target: when}}


def main(arguments: list[str] | None = None) -> int:
    """Measure the runs; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("runs", nargs="+", help="finished runs: names or directories")
    parser.add_argument("--again", choices=tuple(FORMS), help="measure only this format again")
    parser.add_argument("--boards", action="store_true", help="microcontrollers, emulated")
    given = parser.parse_args(arguments)
    try:
        for source in given.runs:
            run = find_run(source)
            kind = "boards" if given.boards else "export"
            path = RESULTS / f"{kind}-{run.directory.facts['recipe']}.json"
            with tempfile.TemporaryDirectory() as folder:
                if given.boards:
                    found = measure_boards(run)
                elif given.again is None:
                    found = measure(run, Path(folder))
                else:
                    before = json.loads(path.read_text(encoding="utf-8"))
                    found = measure_again(run, given.again, Path(folder), before)
            write_text(path, json.dumps(found, indent=1, ensure_ascii=False) + "\n")
            print(path)
    except KilonetError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
