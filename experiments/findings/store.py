"""``results/findings/ID.json``: what was found of each question, run by run, as it is found.

A run is known by its recipe's fingerprint and its seed, so that one which several questions need
is made once: the other questions' files are looked through before anything is trained.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, ValidationError

from findings.questions import Question, recipes_of
from kilonet.errors import UsageError
from kilonet.files import write_text
from kilonet.recipe.describe import fingerprint
from kilonet.recipe.schema import Recipe
from kilonet.studies.directory import RunResult
from kilonet.studies.plan import StudyPlan


class _Layout(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    fingerprint: str
    seed: int

    @property
    def key(self) -> tuple[str, int]:
        """What makes two of them the same."""
        return self.fingerprint, self.seed


class Trial(_Layout):
    """A learning rate that was tried, and the best validation accuracy of an epoch; 0: diverged."""

    rate: float
    validation_accuracy: float
    seconds: float


class StoredRun(_Layout):
    """A finished run. Accuracies are fractions; ``wrong`` are the test images read wrongly."""

    dataset: str
    images: int
    test_accuracy: float
    wrong: list[int]
    validation_accuracy: list[float]
    parameters: int
    macs: int
    seconds: float
    environment: dict[str, str]

    def found(self) -> RunResult:
        """Return it as studies are analysed."""
        return RunResult(
            name=f"{self.fingerprint}-s{self.seed}",
            seed=self.seed,
            accuracy=self.test_accuracy,
            dataset=self.dataset,
            images=self.images,
            wrong=frozenset(self.wrong),
            history=tuple({"validation_accuracy": each} for each in self.validation_accuracy),
            parameters=self.parameters,
            macs=self.macs,
            seconds=self.seconds,
        )


class Failure(_Layout):
    """A run that could not be trained to its end, and why."""

    message: str


class Stored(BaseModel):
    """All that a file holds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    trials: list[Trial] = []
    runs: list[StoredRun] = []
    failures: list[Failure] = []


KINDS: dict[type[_Layout], str] = {Trial: "trials", StoredRun: "runs", Failure: "failures"}


@dataclass(frozen=True)
class Store:
    """The files in ``folder``, one a question."""

    folder: Path

    def read(self, question: str) -> Stored:
        """Return what is stored of a question; nothing where there is no file.

        Raises:
            UsageError: its file is not what ``experiments/findings/run.py`` writes.
        """
        path = self.folder / f"{question}.json"
        if not path.exists():
            return Stored()
        try:
            return Stored.model_validate_json(path.read_text(encoding="utf-8"))
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise UsageError(f"{path}: {place}: {first['msg']}. Run it again.") from None

    def everywhere(self) -> list[Stored]:
        """Return what is stored of all questions."""
        return [self.read(path.stem) for path in sorted(self.folder.glob("*.json"))]

    def add(self, question: str, entry: _Layout) -> None:
        """Add ``entry`` to a question's file, in place of the same of earlier."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / f".{question}.lock"):
            content = {kind: list(getattr(self.read(question), kind)) for kind in KINDS.values()}
            kind = content[KINDS[type(entry)]]
            kind[:] = [each for each in kind if each.key != entry.key] + [entry]
            write_text(self.folder / f"{question}.json", _text(content))

    def trial(self, question: str, key: tuple[str, int]) -> Trial | None:
        """Return the trial with this fingerprint and seed, wherever it was made."""
        return self._borrowed(question, "trials", key)

    def run(self, question: str, key: tuple[str, int]) -> StoredRun | Failure | None:
        """Return the run with this fingerprint and seed, wherever it was made, or why it failed."""
        run = self._borrowed(question, "runs", key)
        return run if run is not None else self._borrowed(question, "failures", key)

    def _borrowed(self, question: str, kind: str, key: tuple[str, int]) -> Any:
        """Return the entry ``key``; if another question's file has it, this one's gets it too."""
        for place, stored in enumerate([self.read(question), *self.everywhere()]):
            for entry in getattr(stored, kind):
                if entry.key == key:
                    if place:
                        self.add(question, entry)
                    return entry
        return None


def _text(content: dict[str, list[Any]]) -> str:
    """Write each entry on a line of its own: there are hundreds, with hundreds of numbers each."""
    parts = []
    for kind, entries in content.items():
        ordered = sorted(entries, key=lambda each: each.key)
        lines = [json.dumps(each.model_dump(), ensure_ascii=False) for each in ordered]
        parts.append(f' "{kind}": [' + ",".join(f"\n  {line}" for line in lines) + "\n ]")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def best_rates(question: Question, stored: Stored) -> dict[str, float] | None:
    """Return the best rate of each cell that has its rate searched; None if one is not found yet.

    It is found when a lower and a higher one were tried too, or as many as may be.
    """
    rates: dict[str, float] = {}
    for cell in question.listed:
        if cell.rate is None:
            continue
        tried = tried_rates(question, cell.label, stored)
        if not is_found(tried, question.search.trials):
            return None
        rates[cell.label] = best(tried)
    return rates


def tried_rates(question: Question, label: str, stored: Stored) -> dict[float, float]:
    """Return the validation accuracy of each rate that was tried for a cell, lowest rate first."""
    (cell,) = [cell for cell in question.listed if cell.label == label]
    tried = {
        trial.rate: trial.validation_accuracy
        for trial in stored.trials
        if trial.key == key_of(trial_recipe(question, label, trial.rate))
    }
    return dict(sorted(tried.items())) if cell.rate is not None else {}


def trial_recipe(question: Question, label: str, rate: float) -> Recipe:
    """Return the recipe by which ``rate`` is tried for a cell: shorter, the recipe's own seed."""
    (cell,) = [cell for cell in question.listed if cell.label == label]
    short = f"training.epochs={question.search.epochs}"
    return question.recipe_of(cell, f"optimizer.lr={rate!r}", short)


def key_of(recipe: Recipe) -> tuple[str, int]:
    """Return what a run of ``recipe`` is known by."""
    return fingerprint(recipe), recipe.training.seed


def best(tried: dict[float, float]) -> float:
    """Return the rate that did best; the lowest of those that did equally well."""
    return max(sorted(tried), key=lambda rate: tried[rate])


def is_found(tried: dict[float, float], most: int) -> bool:
    """Say whether the best of ``tried`` has a worse one on either side."""
    return bool(tried) and (len(tried) >= most or min(tried) < best(tried) < max(tried))


def found_of(plan: StudyPlan, stored: Stored) -> tuple[list[list[RunResult]], dict[str, str]]:
    """Return the finished runs of each cell of ``plan``, and those that failed with why."""
    keys = [fingerprint(recipe) for recipe in recipes_of(plan)]
    runs = {run.key: run for run in stored.runs}
    failures = {each.key: each.message for each in stored.failures}
    pairs = [(label, seed) for label in keys for seed in plan.seeds]
    names = {key: cell.label for key, cell in zip(keys, plan.cells, strict=True)}
    return (
        [[runs[key, s].found() for s in plan.seeds if (key, s) in runs] for key in keys],
        {f"{names[key]}, seed {s}": failures[key, s] for key, s in pairs if (key, s) in failures},
    )
