"""Audit the labels of a data set: cross-validate, and rank the training images by doubt."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kilonet.data.dataset import Dataset
from kilonet.data.folder import folder_path, is_folder, resolved_data, short_name
from kilonet.data.read_folder import read_folder
from kilonet.data.specs import DEFAULT_FORMAT
from kilonet.data.split import stratified_folds
from kilonet.errors import RunError, Stopped, UsageError
from kilonet.evaluation.confident_learning import Floats, LabelIssues, find_label_issues
from kilonet.evaluation.predict import predict_probabilities
from kilonet.files import csv_text, write_atomically, write_errors, write_json, write_text
from kilonet.progress import Reporter
from kilonet.recipe.fingerprint import fingerprint
from kilonet.recipe.load import Resolved, resolve
from kilonet.recipe.schema import Constraints, Recipe
from kilonet.report.image_grids import doubtful_labels
from kilonet.runs.environment import environment
from kilonet.training.device import choose_compute
from kilonet.workflows.data import load_recipe_data
from kilonet.workflows.session import open_session

SETTINGS, FIGURES, TABLE, PICTURE = "settings.json", "audit.json", "audit.csv", "audit.png"


@dataclass(frozen=True, eq=False)
class Audit:
    """The doubtful labels of a data set's training images, and the files that hold them."""

    dataset: Dataset
    recipe: str
    folds: int
    issues: LabelIssues
    probabilities: Floats
    files: tuple[Path, ...]

    @property
    def sentence(self) -> str:
        """The result, in a line."""
        total = len(self.dataset.train_labels)
        share = self.issues.estimated_errors / total
        return (
            f"{self.issues.count:,} of {total:,} training labels of {self.dataset.title} are "
            f"doubtful; {self.folds} networks of {self.recipe} predict the given label for "
            f"{self.agreement:.2%} of the images that they were not trained on, and estimate the "
            f"share of wrong labels at {share:.2%}."
        )

    @property
    def agreement(self) -> float:
        """The fraction of images whose given label is predicted."""
        labels = self.dataset.train_labels.numpy()
        return float((self.probabilities.argmax(axis=1) == labels).mean())


def audit(
    name: str,
    *,
    recipe: str = "fast-99",
    overrides: Sequence[str] = (),
    folds: int = 5,
    top: int = 50,
    out: str | Path | None = None,
    data_dir: str | Path | None = None,
    reporter: Reporter | None = None,
) -> Audit:
    """Rank the training images of ``name`` by how likely their labels are wrong, and store them.

    The images of each fold are classified by a network of ``recipe`` that was trained on the other
    folds; confident learning compares the predictions with the labels. The folder ``out`` (default:
    audit-NAME) gets the probabilities of each fold when it is finished, so that the same call
    continues after an interruption, and in the end ``audit.json``, ``audit.csv`` and ``audit.png``
    with the ``top`` images.

    Raises:
        UsageError, RecipeError: the data set, the recipe or a number is wrong, or ``out`` holds an
            audit with other settings.
        DataError, TrainingError, RunError: data, a training, or the folder failed.
        Stopped: Ctrl-C; the finished folds are kept.
    """
    if top < 1:
        raise UsageError(f"--top {top}: name 1 or more.")
    chosen = _audit_recipe(resolve(recipe, [*overrides, f"data.name={name}"]).recipe)
    dataset = load_recipe_data(chosen.data, data_dir, reporter)
    fold_of = stratified_folds(dataset.train_labels, folds, chosen.training.seed)
    folder = Path(out) if out is not None else Path(f"audit-{short_name(name).rpartition(':')[2]}")
    settings = {
        "dataset": dataset.name,
        "content": dataset.fingerprint,
        "recipe": fingerprint(chosen),
        "seed": chosen.training.seed,
        "folds": folds,
    }
    _claim(folder, settings)
    probabilities = np.zeros((len(fold_of), dataset.num_classes))
    for fold in range(folds):
        held_out = torch.nonzero(fold_of == fold).squeeze(1)
        predicted = _fold(folder / f"fold-{fold + 1}.npy", chosen, dataset, held_out)
        probabilities[held_out.numpy()] = predicted
        if reporter is not None:
            labels = dataset.train_labels[held_out].numpy()
            agreement = float((predicted.argmax(axis=1) == labels).mean())
            reporter.message(f"fold {fold + 1} of {folds}: {agreement:.2%} predicted as labelled")
    issues = find_label_issues(probabilities, dataset.train_labels.numpy())
    result = Audit(dataset, recipe, folds, issues, probabilities, ())
    return _write(result, chosen, folder, top)


def _audit_recipe(recipe: Recipe) -> Recipe:
    """Return ``recipe`` with the kernels, precision and data that it is really trained with.

    Budgets do not matter to an audit, and teachers have seen the images that are held back.
    """
    resolved = choose_compute(recipe.with_training(teachers=[])).recipe
    changes = {"data": resolved_data(recipe.data), "constraints": Constraints()}
    return resolved.model_copy(update=changes)


def _claim(folder: Path, settings: dict[str, Any]) -> None:
    """Create ``folder`` for an audit with these ``settings``, or check that it is one.

    Raises:
        UsageError: it holds something else.
        RunError: it cannot be used.
    """
    path = folder / SETTINGS
    try:
        if path.exists():
            if json.loads(path.read_text(encoding="utf-8")) == settings:
                return
            raise UsageError(
                f"{folder} holds an audit of other data or with another recipe, seed or number of "
                "folds. Name another folder with --out, or remove it."
            )
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise UsageError(f"{folder} is in use already. Name another folder with --out.")
        write_json(path, settings)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise RunError(f"Cannot use {folder}: {reason}. Name another folder with --out.") from error


def _fold(path: Path, recipe: Recipe, dataset: Dataset, held_out: torch.Tensor) -> Floats:
    """Return the probabilities (N, K) of the images ``held_out``, from ``path`` or computed."""
    if path.exists():
        try:
            stored: Floats = np.load(path, allow_pickle=False)
        except (OSError, ValueError):
            raise RunError(f"{path} is damaged. Remove it and run again.") from None
        if stored.shape == (len(held_out), dataset.num_classes):
            return stored
        raise RunError(f"{path} belongs to another audit. Remove it and run again.")
    try:
        computed = _predict_held_out(recipe, dataset, held_out)
    except KeyboardInterrupt:
        raise Stopped(
            f"Stopped. Finished folds are kept in {path.parent}. Repeat the command to resume."
        ) from None
    write_atomically(path, lambda file: np.save(file, computed, allow_pickle=False))
    return computed


def _predict_held_out(recipe: Recipe, dataset: Dataset, held_out: torch.Tensor) -> Floats:
    rest = torch.ones(len(dataset.train_labels), dtype=torch.bool)
    rest[held_out] = False
    images, labels = dataset.train_images, dataset.train_labels
    # The held-out images take the place of the test images: they are used once, at the end.
    fold = replace(
        dataset,
        train_images=images[rest],
        train_labels=labels[rest],
        test_images=images[held_out],
        test_labels=labels[held_out],
    )
    with open_session(Resolved("audit", recipe, data_named=True), dataset=fold) as session:
        network = session.trained_network(session.run())
        device = session.fit.device
        return predict_probabilities(
            network, fold.test_images, dataset.mean, dataset.std, device=device
        )


def _write(result: Audit, recipe: Recipe, folder: Path, top: int) -> Audit:
    dataset, issues = result.dataset, result.issues
    top_images = issues.ranking[:top]
    rows = _rows(result, recipe, top_images)
    threads = recipe.training.threads or torch.get_num_threads()
    content = {
        "dataset": dataset.name,
        "recipe": result.recipe,
        "fingerprint": fingerprint(recipe),
        "seed": recipe.training.seed,
        "folds": result.folds,
        "images": len(dataset.train_labels),
        "doubtful": issues.count,
        "estimated_errors": round(issues.estimated_errors, 1),
        "agreement": result.agreement,
        "top": rows,
        "environment": environment(recipe.training.device, threads),
    }
    files = tuple(folder / name for name in (FIGURES, TABLE, PICTURE))
    with write_errors(folder, "Name another with --out."):
        write_json(files[0], content)
        write_text(files[1], csv_text(rows[0] if rows else ["rank"], rows))
        images, labels = dataset.train_images.numpy(), dataset.train_labels.numpy()
        doubtful_labels(
            images,
            labels,
            result.probabilities,
            dataset.classes,
            files[2],
            predicted=issues.predicted,
            chosen=top_images,
        )
    return replace(result, files=files)


def _rows(result: Audit, recipe: Recipe, top_images: np.ndarray[Any, Any]) -> list[dict[str, Any]]:
    names, classes = _names(recipe), result.dataset.classes
    labels, predicted = result.dataset.train_labels.numpy(), result.issues.predicted
    return [
        {
            "rank": rank,
            "index": int(index),
            **({"file": names[index]} if names else {}),
            "doubtful": rank <= result.issues.count,
            "given": classes[labels[index]],
            "given_probability": round(float(result.probabilities[index, labels[index]]), 6),
            "predicted": classes[predicted[index]],
            "predicted_probability": round(float(result.probabilities[index, predicted[index]]), 6),
        }
        for rank, index in enumerate(top_images.tolist(), start=1)
    ]


def _names(recipe: Recipe) -> list[str]:
    """Return the file name of each training picture; nothing for a published data set."""
    if not is_folder(recipe.data.name):
        return []
    content = read_folder(folder_path(recipe.data.name), DEFAULT_FORMAT)
    return [one.file.name for one in content.train]
