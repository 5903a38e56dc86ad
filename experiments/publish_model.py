"""Copy a finished run into the package as a shipped model.

    python experiments/run.py frontier kilonet-2k --keep build/frontier
    python experiments/publish_model.py build/frontier/kilonet-2k-FINGERPRINT-s0 kilonet-2k

Copies the files that a model needs to ``src/kilonet/pretrained/NAME``, and writes its model card,
in JSON and in Markdown, with the accuracy of every seed in ``results/NAME.json``.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import kilonet
from kilonet.errors import KilonetError, RunError
from kilonet.exports.huggingface.folder import pretrained_of, shipped_card
from kilonet.files import write_text
from kilonet.recipe.fingerprint import possible_fingerprints
from kilonet.runs import layout
from kilonet.runs.directory import RunDirectory
from kilonet.runs.find import CARD, SHIPPED_FOLDER
from kilonet.workflows.runs import find_run

RESULTS = Path(__file__).resolve().parents[1] / "results"
KEPT = (layout.RUN, layout.RECIPE, layout.HISTORY, layout.LAST, layout.ONNX, layout.METRICS)


def publish(
    run: RunDirectory, name: str, results: Path = RESULTS, target: Path = SHIPPED_FOLDER
) -> Path:
    """Copy ``run`` to ``target``/``name`` with a card of all seeds, and return that folder.

    Raises:
        RunError: the run is not in the results, or its best epoch is kept instead of the last.
    """
    stored = json.loads((results / f"{name}.json").read_text(encoding="utf-8"))
    require_same(run, stored)
    folder = target / name
    folder.mkdir(parents=True, exist_ok=True)
    for file in KEPT:
        shutil.copyfile(run.file(file), folder / file)
    card = card_of(run, stored)
    write_text(folder / CARD, json.dumps(card, indent=1) + "\n")
    model = pretrained_of(run, kilonet.load(run.path), name)
    write_text(folder / "README.md", shipped_card(model, RunDirectory(folder, run.facts)))
    return folder


def require_same(run: RunDirectory, stored: dict[str, Any]) -> None:
    """Check that ``run`` is one of the runs in ``stored``.

    Raises:
        RunError: it is not.
    """
    recipe, correct = run.recipe(), run.metrics()["test"]["correct"]
    seeds = {entry["seed"]: entry["test_correct"] for entry in stored["runs"]}
    if stored["fingerprint"] not in possible_fingerprints(recipe):
        raise RunError(
            f"{run.path} was trained with another recipe than the results. Train it again."
        )
    if seeds.get(recipe.training.seed) != correct:
        raise RunError(
            f"{run.path} has another accuracy than its seed in the results. Train it again."
        )
    if recipe.training.keep != "last":
        raise RunError(f"{run.path} keeps its best epoch; models in the package keep the last one.")


def card_of(run: RunDirectory, stored: dict[str, Any]) -> dict[str, Any]:
    """Return the card: the test accuracy of every seed, and the seed of the published run."""
    keys = ("seed", "test_correct", "test_total")
    return {
        "shipped_seed": run.recipe().training.seed,
        "seeds": [{key: entry[key] for key in keys} for entry in stored["runs"]],
    }


def main() -> int:
    """Publish a run; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", help="the folder of a finished run")
    parser.add_argument("name", help="the name of the model and of its results file")
    given = parser.parse_args()
    try:
        run = find_run(given.run)
        run.directory.require_finished()
        print(publish(run.directory, given.name))
    except (KilonetError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
