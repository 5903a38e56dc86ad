"""Answer the questions of ``questions.toml``: train what is missing, and store what it found.

    python experiments/findings/run.py                      # all of them, five seeds each
    python experiments/findings/run.py dropout pooling --seeds 0,1
    python experiments/findings/run.py --reverse            # a second process, from the other end
    python experiments/findings/run.py --plan               # what is missing, and how long it takes

Learning rates are searched first where a question asks for it. ``results/findings/ID.json`` gets an
entry a run as soon as that is finished, and nothing is done twice: the same line goes on where it
stopped, and any number of processes may work at once. Runs are made by what makes those of
``kilonet study``, in ``build/findings``, and removed once they are stored.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from filelock import FileLock, Timeout

from findings.questions import QUESTIONS, Question, read_questions, recipes_of
from findings.store import Failure, Store, StoredRun, best_rates
from kilonet.errors import KilonetError, TrainingError
from kilonet.progress import Silent
from kilonet.recipe.describe import fingerprint
from kilonet.runs.directory import RunDirectory
from kilonet.runs.environment import commit
from kilonet.studies.directory import read_result
from kilonet.studies.plan import RunJob, StudyPlan, with_seed
from kilonet.studies.worker import make_run

REPOSITORY = Path(__file__).resolve().parents[2]
COMMIT = commit()  # of the code as it was imported; the checkout may move on meanwhile
PATIENCE = 5  # seconds between two looks at what other processes are at


class BusyError(Exception):
    """Another process is at it."""


class Runner:
    """Works through questions; ``scratch`` is where runs are made."""

    def __init__(self, store: Store, scratch: Path, seeds: Sequence[int]) -> None:
        self.store = store
        self.scratch = scratch
        self.seeds = seeds

    def work(self, questions: Sequence[Question]) -> None:
        """Answer ``questions``, coming back to those that another process is at."""
        pending = list(questions)
        while pending := [each for each in pending if not self.advance(each)]:
            time.sleep(PATIENCE)

    def advance(self, question: Question) -> bool:
        """Do what nobody else is doing of ``question``; return whether it is answered."""
        rates = best_rates(question, self.store.read(question.id))
        if rates is None:
            try:
                self.search(question)
            except BusyError:
                return False
            rates = best_rates(question, self.store.read(question.id))
            assert rates is not None, question.id
        plan = question.plan(rates, self.seeds)
        made = [self.make(question, plan, *which) for which in each_run(plan)]
        return all(made)

    def search(self, question: Question) -> None:
        """Find the learning rates of a question.

        Raises:
            BusyError: another process is finding them.
        """
        from findings.rates import search

        with self._claimed(f"rates-{question.id}"):
            for cell in question.listed:
                if cell.rate is not None:
                    search(question, cell, self.store)

    def make(self, question: Question, plan: StudyPlan, place: int, seed: int) -> bool:
        """Make one run of ``plan`` and store it; return False where another process is at it."""
        key = fingerprint(recipes_of(plan)[place]), seed
        try:
            with self._claimed(f"{key[0]}-s{seed}"):
                if self.store.run(question.id, key) is None:
                    self._train(question, plan, place, seed)
        except BusyError:
            return False
        return True

    def _train(self, question: Question, plan: StudyPlan, place: int, seed: int) -> None:
        cell, identity = plan.cells[place], fingerprint(recipes_of(plan)[place])
        job = RunJob(f"{identity}-s{seed}", plan.recipe, with_seed(cell.toml, seed))
        entry: StoredRun | Failure
        try:
            run = make_run(job, self.scratch, None, Silent()).directory
            entry = _stored(identity, seed, run)
            said = f"{entry.test_accuracy:.2%} in {entry.seconds:.0f} s"
        except TrainingError as error:
            entry = Failure(fingerprint=identity, seed=seed, message=str(error))
            said = str(error)
        self.store.add(question.id, entry)
        shutil.rmtree(self.scratch / job.name, ignore_errors=True)
        print(f"{question.id}, {cell.label}, seed {seed}: {said}", flush=True)

    @contextmanager
    def _claimed(self, name: str) -> Iterator[None]:
        locks = self.scratch / "locks"
        locks.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(locks / f"{name}.lock", timeout=0):
                yield
        except Timeout:
            raise BusyError from None


def each_run(plan: StudyPlan) -> list[tuple[int, int]]:
    """Return (place of the cell, seed) of each run, seed by seed, so that cells grow together."""
    return [(place, seed) for seed in plan.seeds for place in range(len(plan.cells))]


def _stored(identity: str, seed: int, run: RunDirectory) -> StoredRun:
    found = read_result(run, seed)
    assert found.wrong is not None
    return StoredRun(
        fingerprint=identity,
        seed=seed,
        dataset=found.dataset,
        images=found.images,
        test_accuracy=found.accuracy,
        wrong=sorted(found.wrong),
        validation_accuracy=[round(each, 6) for each in found.validation_accuracies()],
        parameters=found.parameters,
        macs=found.macs,
        seconds=round(found.seconds, 1),
        environment=run.facts["environment"] | {"commit": COMMIT},
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line asks; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("questions", nargs="*", metavar="QUESTION", help="ids (default: all)")
    parser.add_argument("--seeds", help="such as 0,1,2 (default: as many as the file says)")
    parser.add_argument("--reverse", action="store_true", help="begin with the last question")
    parser.add_argument("--plan", action="store_true", help="say what is missing; train nothing")
    parser.add_argument("--file", type=Path, default=QUESTIONS, help="the questions")
    parser.add_argument("--results", type=Path, default=REPOSITORY / "results" / "findings")
    parser.add_argument("--scratch", type=Path, default=REPOSITORY / "build" / "findings")
    given = parser.parse_args(arguments)
    try:
        questions = read_questions(given.file, given.questions)
        seeds = list(range(questions[0].seeds))
        if given.seeds:
            seeds = [int(seed) for seed in given.seeds.split(",")]
        store = Store(given.results)
        if given.plan:
            from findings.estimate import said

            print(said(questions, store, seeds))
        else:
            ordered = questions[::-1] if given.reverse else questions
            Runner(store, given.scratch, seeds).work(ordered)
    except KilonetError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
