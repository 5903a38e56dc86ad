"""Run the experiments of one file in this folder, and store every result in results/.

    python experiments/run.py reproduction gap-14k "two-conv-*"
    python experiments/run.py frontier kilonet-2k --keep build/frontier
    python experiments/run.py findings dropout --seeds 0,1
    python experiments/run.py search "2k-p4/*" --reverse

Names are patterns; without any, the whole file is run. A result is stored as soon as it is there,
and what is stored for the same recipe and seed is not run again. Several processes may work on one
file: each skips what another one is training. ``--keep`` keeps the run directories; an interrupted
run in there is resumed. The trials of ``search`` and the learning rates of ``findings`` are judged
by validation accuracy; their data set has no test images.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

import kilonet
from kilonet.data.dataset import Dataset
from kilonet.errors import KilonetError, TrainingError, UsageError
from kilonet.models.measure import total_macs
from kilonet.recipe.describe import fingerprint
from kilonet.recipe.load import resolve
from kilonet.recipe.schema import Data, Recipe
from kilonet.runs.environment import commit
from kilonet.studies.directory import read_result
from kilonet.workflows.data import load_recipe_data
from kilonet.workflows.session import Session, open_session
from stored import add_finding, add_run, add_trial, has_run, has_trial, shared_finding

HERE = Path(__file__).resolve().parent
RESULTS = HERE.parent / "results"
LOCKS = HERE.parent / "build" / "locks"
SEARCH_BASE = HERE / "search-base.toml"
COMMIT = commit()  # of the code as it was imported; the checkout may change meanwhile


@dataclass(frozen=True)
class Training:
    """One training: its name, and the recipe with its seed."""

    label: str
    source: str | Path
    overrides: list[str]
    seed: int

    @property
    def all_overrides(self) -> list[str]:
        """The overrides, with the seed and one thread."""
        own = [f"training.seed={self.seed}", "training.threads=1"]
        # A data set that is named is never replaced by another one.
        data = f"data.name={resolve(self.source, self.overrides).recipe.data.name}"
        return [*self.overrides, *own, data]

    @property
    def recipe(self) -> Recipe:
        """The recipe."""
        return resolve(self.source, self.all_overrides).recipe

    @property
    def key(self) -> tuple[str, int]:
        """The fingerprint of the recipe, and the seed."""
        return fingerprint(self.recipe), self.seed


@dataclass(frozen=True)
class Task:
    """A training, whether its result is stored, and how to make and store it."""

    training: Training
    is_done: Callable[[], bool]
    perform: Callable[[Path], str]


def read(name: str) -> dict[str, Any]:
    """Return the content of an experiment file.

    Raises:
        UsageError: there is none of that name.
    """
    path = HERE / f"{name}.toml"
    if not path.exists():
        raise UsageError(f"There is no experiment file {path}.")
    return tomllib.loads(path.read_text(encoding="utf-8"))


def run_tasks(name: str, patterns: Sequence[str], seeds: Sequence[int] | None) -> Iterator[Task]:
    """Yield the tasks of ``reproduction`` or ``frontier``: whole runs, seed by seed."""
    content = read(name)
    entries = content.get("run") or [
        {"label": budget["name"], "recipe": budget["name"]} for budget in content["budget"]
    ]
    for seed in seeds or range(content["seeds"]):
        for entry in entries:
            if matches(entry["label"], patterns) and not entry.get("archived"):
                overrides = entry.get("overrides", [])
                training = Training(entry["label"], entry["recipe"], overrides, seed)
                yield Task(training, *_run_actions(training))


def _run_actions(training: Training) -> tuple[Callable[[], bool], Callable[[Path], str]]:
    path = RESULTS / f"{training.label}.json"

    def perform(folder: Path) -> str:
        run = trained(training, folder)
        head = {
            "recipe": str(training.source),
            "overrides": training.overrides,
            "fingerprint": training.key[0],
            "parameters": run.directory.metrics()["parameters"],
            "data": training.recipe.data.model_dump(),
        }
        add_run(path, head, run_entry(run))
        return f"{run.test.accuracy:.2%} of the test images"

    return lambda: has_run(path, training.key), perform


def question_tasks(patterns: Sequence[str], seeds: Sequence[int] | None) -> Iterator[Task]:
    """Yield the tasks of ``findings``: learning rates first, then whole runs, seed by seed."""
    content = read("findings")
    for question in content["question"]:
        if not matches(question["id"], patterns):
            continue
        path = RESULTS / "findings" / f"{question['id']}.json"
        for training, rate in rate_trials(content, question):
            yield Task(training, *_rate_actions(training, rate, path))
        for seed in seeds or range(content["seeds"]):
            for training in cell_trainings(content, question, seed):
                yield Task(training, *_finding_actions(training, path))


def cell_trainings(content: Any, question: Any, seed: int) -> list[Training]:
    """Return the training of each cell of a question with ``seed``."""
    source, common = question.get("recipe", content["recipe"]), question.get("overrides", [])
    return [
        Training(
            f"{question['id']}, {cell['label']}",
            source,
            [*common, *cell.get("overrides", []), *_rate(cell.get("lr"))],
            seed,
        )
        for cell in question["cell"]
    ]


def rate_trials(content: Any, question: Any) -> list[tuple[Training, float]]:
    """Return the short training of each learning rate that a question lists, with the rate."""
    source, common = question.get("recipe", content["recipe"]), question.get("overrides", [])
    short = [f"training.epochs={content['search_epochs']}"]
    return [
        (
            Training(
                f"{question['id']}, {cell['label']}, rate {rate:g}",
                source,
                [*common, *cell.get("overrides", []), *_rate(rate), *short],
                resolve(source).recipe.training.seed,
            ),
            rate,
        )
        for cell in question["cell"]
        for rate in cell.get("tried", [])
    ]


def _rate(rate: float | None) -> list[str]:
    return [] if rate is None else [f"optimizer.lr={rate!r}"]


def _finding_actions(
    training: Training, path: Path
) -> tuple[Callable[[], bool], Callable[[Path], str]]:
    def perform(folder: Path) -> str:
        identity = {"fingerprint": training.key[0], "seed": training.seed}
        try:
            run = trained(training, folder)
        except TrainingError as error:
            add_finding(path, "failures", {**identity, "message": str(error)})
            return str(error)
        add_finding(path, "runs", identity | finding_entry(run))
        return f"{run.test.accuracy:.2%} of the test images"

    return lambda: shared_finding(path, ("runs", "failures"), training.key), perform


def _rate_actions(
    training: Training, rate: float, path: Path
) -> tuple[Callable[[], bool], Callable[[Path], str]]:
    def perform(_: Path) -> str:
        began = time.perf_counter()
        try:
            history = validated(training).fit.history
            best = max(row["validation_accuracy"] for row in history)
        except TrainingError:
            best = 0.0
        entry = {"fingerprint": training.key[0], "seed": training.seed, "rate": rate}
        seconds = round(time.perf_counter() - began, 1)
        add_finding(
            path, "trials", {**entry, "validation_accuracy": round(best, 6), "seconds": seconds}
        )
        return f"{best:.2%} of the validation images"

    return lambda: shared_finding(path, ("trials",), training.key), perform


def search_tasks(patterns: Sequence[str], seeds: Sequence[int] | None) -> Iterator[Task]:
    """Yield the trials of ``search``, seed by seed."""
    for seed in seeds or (0, 1):
        for training in search_trainings(seed):
            if matches(training.label, patterns):
                yield Task(training, *_trial_actions(training))


def search_trainings(seed: int) -> list[Training]:
    """Return every change of every group, as a training with ``seed``."""
    return [
        Training(f"{group}/{change}", SEARCH_BASE, [*changes["common"], *overrides], seed)
        for group, changes in read("search").items()
        for change, overrides in changes.items()
        if change != "common"
    ]


def _trial_actions(training: Training) -> tuple[Callable[[], bool], Callable[[Path], str]]:
    path = RESULTS / "frontier-search.json"

    def perform(_: Path) -> str:
        began = time.perf_counter()
        session = validated(training)
        last, shape = session.fit.history[-1], tuple(session.dataset.train_images.shape[1:])
        entry = {
            "name": training.label,
            "overrides": training.overrides,
            "fingerprint": training.key[0],
            "parameters": session.parameters,
            "macs": total_macs(session.fit.model, shape),
            "seed": training.seed,
            "epochs": session.recipe.training.epochs,
            **{
                key: round(last[key], 6)
                for key in ("validation_accuracy", "validation_loss", "train_loss")
            },
            "seconds": round(time.perf_counter() - began, 1),
            "commit": COMMIT,
        }
        add_trial(path, entry)
        return f"{last['validation_accuracy']:.2%} of the validation images"

    return lambda: has_trial(path, training.label, training.key), perform


def trained(training: Training, folder: Path) -> kilonet.Run:
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


def validated(training: Training) -> Session:
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


def work(tasks: Sequence[Task], folder: Path) -> None:
    """Perform the tasks that are not stored and that no other process performs."""
    LOCKS.mkdir(parents=True, exist_ok=True)
    for task in tasks:
        identity, seed = task.training.key
        try:
            with FileLock(LOCKS / f"{identity}-s{seed}.lock", timeout=0):
                if not task.is_done():
                    said = task.perform(folder)
                    print(f"{task.training.label}, seed {seed}: {said}", flush=True)
        except Timeout:
            continue


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", choices=("reproduction", "frontier", "findings", "search"))
    parser.add_argument("names", nargs="*", metavar="NAME", help='such as gap-14k or "2k/*"')
    parser.add_argument("--seeds", help="such as 0,1,2 (default: those of the file)")
    parser.add_argument("--reverse", action="store_true", help="start with the last task")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the run directories there")
    given = parser.parse_args(arguments)
    seeds = [int(seed) for seed in given.seeds.split(",")] if given.seeds else None
    try:
        if given.file in ("reproduction", "frontier"):
            tasks = list(run_tasks(given.file, given.names, seeds))
        else:
            make = question_tasks if given.file == "findings" else search_tasks
            tasks = list(make(given.names, seeds))
        with tempfile.TemporaryDirectory() as scratch:
            work(tasks[::-1] if given.reverse else tasks, given.keep or Path(scratch))
    except KilonetError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
