"""Put a finished run into the package, as a model that ships.

    python experiments/reproduce.py --seeds 0,1,2,3,4 --keep build/frontier kilonet-2k
    python experiments/frontier/publish.py build/frontier/kilonet-2k-seed-0 kilonet-2k

Copies what is read of a run to ``src/kilonet/pretrained/NAME``, and writes its model card, in JSON
and to read, with what every seed in ``results/NAME.json`` reached.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import kilonet
from kilonet.errors import KilonetError, RunError
from kilonet.exports.huggingface.card import shipped_card
from kilonet.exports.huggingface.emit import pretrained_of
from kilonet.files import write_text
from kilonet.runs import layout
from kilonet.runs.directory import RunDirectory
from kilonet.runs.find import CARD, SHIPPED_FOLDER
from kilonet.workflows.run import find_run, require_finished
from reproduce import fingerprints_asked

RESULTS = Path(__file__).resolve().parents[2] / "results"
KEPT = (layout.RUN, layout.RECIPE, layout.HISTORY, layout.LAST, layout.ONNX, layout.METRICS)


def publish(
    run: RunDirectory, name: str, results: Path = RESULTS, target: Path = SHIPPED_FOLDER
) -> Path:
    """Copy ``run`` to ``target``/``name`` with a card of all seeds, and return that folder.

    Raises:
        RunError: the run is not one of those in the results, or is judged by its best epoch.
    """
    stored = json.loads((results / f"{name}.json").read_text(encoding="utf-8"))
    require_same(run, stored)
    folder = target / name
    folder.mkdir(parents=True, exist_ok=True)
    for file in KEPT:
        shutil.copyfile(run.file(file), folder / file)
    card = card_of(run, stored)
    write_text(folder / CARD, json.dumps(card, indent=1) + "\n")
    of = pretrained_of(run, kilonet.load(run.path), name)
    write_text(folder / "README.md", shipped_card(of, RunDirectory(folder, run.facts)))
    return folder


def require_same(run: RunDirectory, stored: dict[str, Any]) -> None:
    """Check that ``run`` is one of the runs that ``stored`` has the figures of."""
    recipe, correct = run.recipe(), run.metrics()["test"]["correct"]
    seeds = {entry["seed"]: entry["test_correct"] for entry in stored["runs"]}
    if stored["fingerprint"] not in fingerprints_asked(recipe):
        raise RunError(f"{run.path} follows another recipe than the results. Train it again.")
    if seeds.get(recipe.training.seed) != correct:
        raise RunError(f"{run.path} is not the run of its seed in the results. Train it again.")
    if recipe.training.keep != "last":
        raise RunError(f"{run.path} is judged by its best epoch; what ships is the last one.")


def card_of(run: RunDirectory, stored: dict[str, Any]) -> dict[str, Any]:
    """Return the card: every seed's figures, and which seed ships."""
    keys = ("seed", "test_correct", "test_total")
    return {
        "shipped_seed": run.recipe().training.seed,
        "seeds": [{key: entry[key] for key in keys} for entry in stored["runs"]],
    }


def main() -> int:
    """Publish the run on the command line; one message and status 1 where it cannot be done."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", help="the folder of a finished run")
    parser.add_argument("name", help="what the model is to be called, as its results are")
    given = parser.parse_args()
    try:
        run = find_run(given.run)
        require_finished(run)
        print(publish(run.directory, given.name))
    except (KilonetError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
