"""Export finished runs in every form, verify each on the test split, store what was found.

    python scripts/measure_exports.py runs/fast-99.4-1 runs/simple-8k-plus-1

Writes ``results/export-RECIPE.json`` for each; ``scripts/make_docs.py`` makes ``docs/exporting.md``
of them. The files themselves go to a temporary folder.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import kilonet
from kilonet.api.run import Run, find_run
from kilonet.atomic import write_text
from kilonet.cli.main import run as command
from kilonet.errors import KilonetError
from kilonet.runs.environment import environment

RESULTS = Path(__file__).resolve().parents[1] / "results"
FORMS = ({"to": "onnx"}, {"to": "onnx", "raw": True}, {"to": "onnx", "int8": True},
         {"to": "c"}, {"to": "c", "int8": True}, {"to": "html"}, {"to": "lambda"})  # fmt: skip


def measure(run: Run, folder: Path) -> dict[str, Any]:
    """Return what each form of ``run`` is and does; the files are written into ``folder``."""
    forms = [kilonet.export(run, **form, out=folder).to_json() for form in FORMS]
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        command(["export", str(run.path), "--to", "c", "--int8", "--out", str(folder / "again")])
    lines = printed.getvalue().splitlines()
    return {
        "recipe": run.directory.facts["recipe"],
        "run": run.name,
        "parameters": run.directory.metrics()["parameters"],
        "epochs": run.directory.metrics()["epochs"],
        "forms": forms,
        "printed": "\n".join(line for line in lines if not line.startswith("Report:")),
        "date": datetime.now(UTC).date().isoformat(),
        "environment": environment("cpu", 1),
    }


def main(arguments: list[str] | None = None) -> int:
    """Measure the runs that are named; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("runs", nargs="+", help="finished runs: names or directories")
    given = parser.parse_args(arguments)
    try:
        for source in given.runs:
            run = find_run(source)
            with tempfile.TemporaryDirectory() as folder:
                found = measure(run, Path(folder))
            path = RESULTS / f"export-{found['recipe']}.json"
            write_text(path, json.dumps(found, indent=1, ensure_ascii=False) + "\n")
            print(path)
    except KilonetError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
