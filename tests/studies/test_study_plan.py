"""The plan of a study, and how it may change later."""

from __future__ import annotations

import json
import re

import pytest

from kilonet.errors import UsageError
from kilonet.recipe.load import parse_recipe, resolve
from kilonet.studies.grid import cells_of, parse_axes
from kilonet.studies.plan import StudyPlan, make_plan


def plan(*vary: str, seeds: int = 2, words: tuple[str, ...] = ()) -> StudyPlan:
    cells = cells_of(parse_axes(vary), "quick")
    resolved = [resolve("quick", ["data.name=digits", *words, *cell.overrides]) for cell in cells]
    return make_plan(resolved, cells, seeds, 0)


OPTIMIZERS = "optimizer.name=adam,sgd"


def test_a_job_has_a_complete_recipe() -> None:
    jobs = plan(OPTIMIZERS).jobs()
    assert [job.name for job in jobs] == ["adam-s0", "sgd-s0", "adam-s1", "sgd-s1"]
    recipe = parse_recipe(jobs[3].toml, "job")
    words = ["data.name=digits", "optimizer.name=sgd", "training.seed=1", "training.threads=1"]
    assert recipe == resolve("quick", words).recipe


def test_the_first_seed_is_that_of_the_recipe() -> None:
    assert plan(words=("training.seed=7",)).seeds == [7, 8]


def test_the_number_of_threads_is_pinned() -> None:
    assert parse_recipe(plan().cells[0].toml, "cell").training.threads == 1
    given = plan(words=("training.threads=2",)).cells[0].toml
    assert parse_recipe(given, "cell").training.threads == 2


def test_through_json() -> None:
    made = plan(OPTIMIZERS)
    assert StudyPlan.from_json(json.loads(json.dumps(made.to_json()))) == made


def test_a_plan_may_gain_seeds_and_cells() -> None:
    small = plan(OPTIMIZERS)
    assert small.difference_from(small) is None
    assert plan(OPTIMIZERS, seeds=3).difference_from(small) is None
    assert plan("optimizer.name=adam,sgd,rmsprop").difference_from(small) is None


def test_a_plan_of_an_earlier_version_may_have_removed_keys_and_other_texts() -> None:
    now = plan(OPTIMIZERS)
    stored = now.to_json()
    for cell in stored["cells"]:
        removed = '[training]\nloss = "cross-entropy"\nworkers = 1\n'
        toml = cell["toml"].replace("[training]\n", removed)
        cell["toml"] = re.sub('^title = ".*"', 'title = "An earlier title"', toml)
    earlier = StudyPlan.from_json(stored)
    assert earlier != now
    assert now.difference_from(earlier) is None
    training = [parse_recipe(job.toml, job.name).training for job in earlier.jobs()]
    assert training == [parse_recipe(job.toml, job.name).training for job in now.jobs()]


@pytest.mark.parametrize(
    ("other", "text"),
    [
        (plan(OPTIMIZERS, seeds=1), "it has 2 seeds, this command 1"),
        (plan("optimizer.name=adam"), 'it has the cell "sgd"'),
        (plan(OPTIMIZERS, words=("training.epochs=3",)), 'the recipe of its cell "adam"'),
    ],
)
def test_a_plan_may_not_become_another(other: StudyPlan, text: str) -> None:
    assert text in str(other.difference_from(plan(OPTIMIZERS)))


def test_refused() -> None:
    with pytest.raises(UsageError, match="--seeds must be at least 1, not 0"):
        plan(seeds=0)
    with pytest.raises(UsageError, match="100,001 runs"):
        plan(seeds=100_001)
    with pytest.raises(UsageError, match="have the same recipe"):
        plan("optimizer.lr=0.1,0.10")
