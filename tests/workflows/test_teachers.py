"""Teachers are runs by name; what cannot teach is refused before anything is made."""

from __future__ import annotations

from pathlib import Path

import pytest

import kilonet
from kilonet.data.registry import spec
from kilonet.data.specs import DataInfo
from kilonet.errors import UsageError
from kilonet.recipe.load import resolve
from kilonet.workflows.session import _teachers as teachers_of
from trained import WORDS, Trained


def words(teacher: object, *more: str) -> list[str]:
    return [*WORDS, f'training.teachers=["{teacher}"]', *more]


def test_a_run_teaches_another(finished: Trained, tmp_path: Path) -> None:
    run = kilonet.train("quick", overrides=words(finished.path), out=tmp_path / "run")
    assert run.recipe.training.teachers == [str(finished.path)]
    (teacher,) = teachers_of(run.recipe, run.data_info)
    assert not teacher.training
    assert run.history[-1]["train_loss"] > 0


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match='no run "nobody"'):
        kilonet.train("quick", overrides=words("nobody"), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_other_images_are_refused(finished: Trained) -> None:
    recipe = resolve("quick", words(finished.path, "data.name=fashion-mnist")).recipe
    with pytest.raises(UsageError, match=r"was trained on .*Name another teacher"):
        teachers_of(recipe, DataInfo.of_published(spec("fashion-mnist")))
