"""Run the experiments of one file in this folder, and store every result in results/.

    python experiments/run.py reproduction gap-14k "two-conv-*"
    python experiments/run.py frontier kilonet-2k --keep build/frontier
    python experiments/run.py findings dropout --seeds 0,1
    python experiments/run.py search "2k-p4/*" --reverse

Names are patterns; without any, the whole file is run. A result is stored as soon as it is there,
and what is stored for the same recipe and seed is not run again. Several processes may work on one
file: each skips what another one is training. ``--keep`` keeps the run directories; an interrupted
run in there is resumed. The trials of ``search`` and the learning rates of ``findings`` are judged
by validation accuracy; they are trained on a data set without its test images.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

import kilonet
from kilonet.data.dataset import Dataset
from kilonet.errors import KilonetError, TrainingError
from kilonet.models.measure import total_macs
from kilonet.recipe.fingerprint import fingerprint
from kilonet.recipe.load import resolve
from kilonet.recipe.schema import Data, Recipe
from kilonet.runs.environment import commit
from kilonet.studies.directory import read_result
from kilonet.workflows.data import load_recipe_data
from kilonet.workflows.session import Session, open_session
from stored import add_finding, add_run, add_trial, find_or_copy_finding, has_run, has_trial

HERE = Path(__file__).resolve().parent
RESULTS = HERE.parent / "results"
LOCKS = HERE.parent / "build" / "locks"
TRIAL_FIGURES = ("validation_accuracy", "validation_loss", "train_loss")
SEARCH_BASE = HERE / "search-base.toml"
COMMIT = commit()  # read at import: the checkout may change while this program runs


@dataclass(frozen=True)
class Training:
    """One training: its name, the recipe with its seed, and the file that stores its result."""

    label: str
    source: str | Path
    overrides: list[str]
    seed: int
    path: Path

    @property
    def all_overrides(self) -> list[str]:
        """The overrides, with the seed and one thread."""
        own = [f"training.seed={self.seed}", "training.threads=1"]
        # A data set that is named is never replaced by another one.
        data = f"data.name={resolve(self.source, self.overrides).recipe.data.name}"
        return [*self.overrides, *own, data]

    @cached_property
    def recipe(self) -> Recipe:
        """The recipe."""
        return resolve(self.source, self.all_overrides).recipe

    @property
    def key(self) -> tuple[str, int]:
        """The fingerprint of the recipe, and the seed."""
        return fingerprint(self.recipe), self.seed

    def is_done(self) -> bool:
        """Return whether the result is stored."""
        raise NotImplementedError

    def train_and_store(self, folder: Path) -> float:
        """Train, store the result, and return the accuracy; ``folder`` is for run directories."""
        raise NotImplementedError


class WholeRun(Training):
    """A run of ``reproduction`` or ``frontier``."""

    def is_done(self) -> bool:
        return has_run(self.path, self.key)

    def train_and_store(self, folder: Path) -> float:
        run = train_or_resume(self, folder)
        head = {
            "recipe": str(self.source),
            "overrides": self.overrides,
            "fingerprint": self.key[0],
            "parameters": run.directory.metrics()["parameters"],
            "data": self.recipe.data.model_dump(),
        }
        add_run(self.path, head, run_entry(run))
        return run.test.accuracy


class StudyRun(Training):
    """A run of ``findings``: a cell of a question."""

    def is_done(self) -> bool:
        return find_or_copy_finding(self.path, ("runs", "failures"), self.key)

    def train_and_store(self, folder: Path) -> float:
        identity = {"fingerprint": self.key[0], "seed": self.seed}
        try:
            run = train_or_resume(self, folder)
        except TrainingError as error:
            add_finding(self.path, "failures", {**identity, "message": str(error)})
            return 0.0
        add_finding(self.path, "runs", identity | finding_entry(run))
        return run.test.accuracy


@dataclass(frozen=True)
class RateTrial(Training):
    """A learning rate of ``findings``, judged by validation accuracy; 0 if training fails."""

    rate: float

    def is_done(self) -> bool:
        return find_or_copy_finding(self.path, ("trials",), self.key)

    def train_and_store(self, folder: Path) -> float:
        began = time.perf_counter()
        try:
            best = max(
                row["validation_accuracy"] for row in train_without_test_images(self).fit.history
            )
        except TrainingError:
            best = 0.0
        entry = {
            "fingerprint": self.key[0],
            "seed": self.seed,
            "rate": self.rate,
            "validation_accuracy": round(best, 6),
            "seconds": round(time.perf_counter() - began, 1),
        }
        add_finding(self.path, "trials", entry)
        return best


class SearchTrial(Training):
    """A trial of ``search``, judged by the validation accuracy of its last epoch."""

    def is_done(self) -> bool:
        return has_trial(self.path, self.label, self.key)

    def train_and_store(self, folder: Path) -> float:
        began = time.perf_counter()
        session = train_without_test_images(self)
        last, shape = session.fit.history[-1], tuple(session.dataset.train_images.shape[1:])
        entry = {
            "name": self.label,
            "overrides": self.overrides,
            "fingerprint": self.key[0],
            "parameters": session.parameters,
            "macs": total_macs(session.fit.model, shape),
            "seed": self.seed,
            "epochs": session.recipe.training.epochs,
            **{key: round(last[key], 6) for key in TRIAL_FIGURES},
            "seconds": round(time.perf_counter() - began, 1),
            "commit": COMMIT,
        }
        add_trial(self.path, entry)
        return last["validation_accuracy"]


def read(name: str) -> dict[str, Any]:
    """Return the content of an experiment file."""
    return tomllib.loads((HERE / f"{name}.toml").read_text(encoding="utf-8"))


def whole_runs(name: str, patterns: Sequence[str], seeds: Sequence[int] | None) -> list[Training]:
    """Return the runs of ``reproduction`` or ``frontier``, seed by seed."""
    content = read(name)
    entries = content.get("run") or [
        {"label": budget["name"], "recipe": budget["name"]} for budget in content["budget"]
    ]
    return [
        WholeRun(label, entry["recipe"], entry.get("overrides", []), seed, path)
        for seed in seeds or range(content["seeds"])
        for entry in entries
        for label, path in [(entry["label"], RESULTS / f"{entry['label']}.json")]
        if matches(label, patterns) and not entry.get("archived")
    ]


def study_runs(patterns: Sequence[str], seeds: Sequence[int] | None) -> Iterator[Training]:
    """Yield the trainings of ``findings``: learning rates first, then the runs, seed by seed."""
    content = read("findings")
    for question in content["question"]:
        if matches(question["id"], patterns):
            yield from rate_trials(content, question)
            for seed in seeds or range(content["seeds"]):
                yield from cells(content, question, seed)


def cells(content: Any, question: Any, seed: int) -> list[StudyRun]:
    """Return the run of each cell of a question with ``seed``."""
    return [
        StudyRun(*_cell(content, question, cell, cell.get("lr")), seed, _path(question))
        for cell in question["cell"]
    ]


def rate_trials(content: Any, question: Any) -> list[RateTrial]:
    """Return the short training of each learning rate that a question lists."""
    seed = resolve(question.get("recipe", content["recipe"])).recipe.training.seed
    trials = []
    for cell in question["cell"]:
        for rate in cell.get("tried", []):
            label, source, overrides = _cell(content, question, cell, rate)
            overrides.append(f"training.epochs={content['search_epochs']}")
            label = f"{label}, rate {rate:g}"
            trials.append(RateTrial(label, source, overrides, seed, _path(question), rate))
    return trials


def _path(question: Any) -> Path:
    return RESULTS / "findings" / f"{question['id']}.json"


def _cell(content: Any, question: Any, cell: Any, rate: float | None) -> tuple[str, str, list[str]]:
    """Return label, recipe and overrides of a cell with a learning rate."""
    overrides = [*question.get("overrides", []), *cell.get("overrides", [])]
    overrides += [] if rate is None else [f"optimizer.lr={rate!r}"]
    return (
        f"{question['id']}, {cell['label']}",
        question.get("recipe", content["recipe"]),
        overrides,
    )


def search_trials(patterns: Sequence[str], seeds: Sequence[int] | None) -> list[Training]:
    """Return the trials of ``search``, seed by seed."""
    return [
        SearchTrial(label, source, [*changes["common"], *overrides], seed, path)
        for seed in seeds or (0, 1)
        for group, changes in read("search").items()
        for source in [changes.get("recipe", SEARCH_BASE)]
        for change, overrides in changes.items()
        for label, path in [(f"{group}/{change}", RESULTS / "frontier-search.json")]
        if change not in ("common", "recipe") and matches(label, patterns)
    ]


def train_or_resume(training: Training, folder: Path) -> kilonet.Run:
    """Return the finished run of ``training`` in ``folder``, resumed if it is there already."""
    name = training.label.replace(", ", "-").replace(" ", "-").replace("/", "-")
    out = folder / f"{name}-{training.key[0]}-s{training.seed}"
    if out.exists():
        return kilonet.resume(out)
    return kilonet.train(training.source, overrides=training.all_overrides, out=out)


def run_entry(run: kilonet.Run) -> dict[str, Any]:
    """Return the figures of one seed's run."""
    figures, test = run.directory.metrics(), run.test
    return {
        "seed": run.recipe.training.seed,
        "test_accuracy": test.accuracy,
        "test_correct": test.correct,
        "test_total": test.total,
        "test_loss": test.loss,
        "calibration_error": test.calibration_error,
        "best_epoch": figures["best_epoch"],
        "epochs": figures["epochs"],
        "stopped_because": figures["stopped_because"],
        "seconds": round(sum(row["seconds"] for row in run.history), 1),
        "history": [{key: round(value, 6) for key, value in row.items()} for row in run.history],
        "environment": run.directory.facts["environment"] | {"commit": COMMIT},
    }


def finding_entry(run: kilonet.Run) -> dict[str, Any]:
    """Return the figures of a study's run, and which test images were predicted wrong."""
    found = read_result(run.directory, run.recipe.training.seed)
    assert found.wrong is not None
    return {
        "dataset": found.dataset,
        "images": found.images,
        "test_accuracy": found.accuracy,
        "wrong": sorted(found.wrong),
        "validation_accuracy": [round(each, 6) for each in found.validation_accuracies()],
        "parameters": found.parameters,
        "macs": found.macs,
        "seconds": round(found.seconds, 1),
        "environment": run.directory.facts["environment"] | {"commit": COMMIT},
    }


def train_without_test_images(training: Training) -> Session:
    """Train without test images; return the session, whose ``fit`` has network and history."""
    resolved = resolve(training.source, training.all_overrides)
    with open_session(resolved, dataset=dataset(resolved.recipe.data)) as session:
        session.run()
        return session


@cache
def dataset(data: Data) -> Dataset:
    """Return a data set without its test images."""
    found = load_recipe_data(data, None, None)
    return replace(found, test_images=found.test_images[:0], test_labels=found.test_labels[:0])


def matches(label: str, patterns: Sequence[str]) -> bool:
    """Return whether one of the ``patterns`` matches ``label``; without any, all do."""
    return not patterns or any(fnmatch(label, pattern) for pattern in patterns)


def run_all(trainings: Sequence[Training], folder: Path) -> None:
    """Do the trainings that are not stored and that no other process does."""
    LOCKS.mkdir(parents=True, exist_ok=True)
    for training in trainings:
        identity, seed = training.key
        try:
            with FileLock(LOCKS / f"{identity}-s{seed}.lock", timeout=0):
                if not training.is_done():
                    accuracy = training.train_and_store(folder)
                    print(f"{training.label}, seed {seed}: {accuracy:.2%}", flush=True)
        except Timeout:
            continue


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", choices=("reproduction", "frontier", "findings", "search"))
    parser.add_argument("names", nargs="*", metavar="NAME", help='such as gap-14k or "2k/*"')
    parser.add_argument("--seeds", help="such as 0,1,2 (default: those of the file)")
    parser.add_argument("--reverse", action="store_true", help="start with the last training")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the run directories there")
    given = parser.parse_args(arguments)
    seeds = [int(seed) for seed in given.seeds.split(",")] if given.seeds else None
    try:
        if given.file in ("reproduction", "frontier"):
            trainings = whole_runs(given.file, given.names, seeds)
        else:
            find = study_runs if given.file == "findings" else search_trials
            trainings = list(find(given.names, seeds))
        with tempfile.TemporaryDirectory() as scratch:
            order = trainings[::-1] if given.reverse else trainings
            run_all(order, given.keep or Path(scratch))
    except KilonetError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
