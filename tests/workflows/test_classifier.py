"""``kilonet.Classifier``: with scikit-learn's tools, on its digits, and by its own checks."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import kilonet
from kilonet.errors import KilonetError, RecipeError, UsageError
from kilonet.workflows import classifier
from kilonet.workflows.arrays import ArrayError

SMALL: dict[str, Any] = {"recipe": "fast-99", "epochs": 3, "batch_size": 32, "threads": 1}
NOT_SQUARE = "its X has 2, 3, 5 or 10 features a row, which are no square image"
EXPECTED = dict.fromkeys(
    [
        "check_classifier_data_not_an_array",
        "check_classifiers_classes",
        "check_classifiers_one_label",
        "check_classifiers_train",
        "check_dict_unchanged",
        "check_dont_overwrite_parameters",
        "check_dtype_object",
        "check_estimators_dtypes",
        "check_estimators_fit_returns_self",
        "check_estimators_nan_inf",
        "check_estimators_overwrite_params",
        "check_estimators_pickle",
        "check_f_contiguous_array_estimator",
        "check_fit2d_1sample",
        "check_fit2d_predict1d",
        "check_fit_check_is_fitted",
        "check_fit_idempotent",
        "check_fit_score_takes_y",
        "check_methods_sample_order_invariance",
        "check_methods_subset_invariance",
        "check_n_features_in",
        "check_pipeline_consistency",
        "check_readonly_memmap_input",
        "check_supervised_y_2d",
    ],
    NOT_SQUARE,
)


@parametrize_with_checks(
    [kilonet.Classifier(**SMALL)], expected_failed_checks=lambda _: EXPECTED, xfail_strict=True
)
def test_scikit_learns_checks(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks([kilonet.Classifier("fast-99", epochs=20, batch_size=32, threads=1)])
def test_scikit_learns_checks_with_rows_as_images(
    estimator: Any, check: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None fails for any other reason than the shape of its X: a row is an image of one line."""
    monkeypatch.setattr(classifier, "shape_of", lambda given, features, requested: (1, 1, features))
    check(estimator)


@pytest.fixture(scope="module")
def digits() -> list[Any]:
    """Train and test images, train and test labels."""
    images, labels = load_digits(return_X_y=True)
    parts: list[Any] = train_test_split(images, labels, random_state=0, stratify=labels)
    return parts


@pytest.fixture(scope="module")
def fitted(digits: list[Any]) -> Iterator[kilonet.Classifier]:
    train, _, labels, _ = digits
    yield kilonet.Classifier(**{**SMALL, "epochs": 10}).fit(train, labels)


def test_it_learns_and_predicts(fitted: kilonet.Classifier, digits: list[Any]) -> None:
    _, test, _, labels = digits
    assert fitted.score(test, labels) > 0.95
    probabilities = fitted.predict_proba(test)
    assert probabilities.shape == (len(test), 10)
    assert probabilities.sum(axis=1) == pytest.approx(1)
    assert (fitted.predict(test) == probabilities.argmax(axis=1)).all()
    assert (fitted.n_features_in_, fitted.image_shape_) == (64, (1, 8, 8))
    assert [row["epoch"] for row in fitted.history_] == [*range(1, 11)]


def test_images_may_keep_their_shape(fitted: kilonet.Classifier, digits: list[Any]) -> None:
    test = digits[1][:20]
    expected = fitted.predict_proba(test)
    for shape in ((8, 8), (1, 8, 8)):
        assert np.array_equal(fitted.predict_proba(test.reshape(-1, *shape)), expected)


def test_bytes_and_floats_of_the_same_levels_are_the_same(digits: list[Any]) -> None:
    levels = np.round(digits[0] * 255 / 16).astype(np.uint8)[:300]
    labels = digits[2][:300]
    of_bytes = kilonet.Classifier(**SMALL).fit(levels, labels).predict_proba(levels)
    of_floats = kilonet.Classifier(**SMALL).fit(levels / 255, labels).predict_proba(levels / 255)
    assert np.array_equal(of_bytes, of_floats)


def test_labels_may_be_texts(digits: list[Any]) -> None:
    names = np.array(["odd" if label % 2 else "even" for label in digits[2]])
    model = kilonet.Classifier(**SMALL).fit(digits[0], names)
    assert model.classes_.tolist() == ["even", "odd"]
    assert set(model.predict(digits[1])) == {"even", "odd"}
    assert model.score(digits[0], names) > 0.8


def test_the_same_seed_the_same_network(digits: list[Any]) -> None:
    images, labels = digits[0][:200], digits[2][:200]
    torch.manual_seed(5)
    first = kilonet.Classifier(**SMALL).fit(images, labels).predict_proba(images)
    after = torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(after, torch.rand(1)), "the caller's random numbers are left alone"
    again = kilonet.Classifier(**SMALL).fit(images, labels).predict_proba(images)
    other = kilonet.Classifier(**SMALL, seed=1).fit(images, labels).predict_proba(images)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_pickle_keeps_weights_without_torch(
    fitted: kilonet.Classifier, digits: list[Any]
) -> None:
    content = pickle.dumps(fitted)
    assert b"torch" not in content
    assert b"F32" in content, "the header of safetensors"
    again = pickle.loads(content)
    assert np.array_equal(again.predict_proba(digits[1]), fitted.predict_proba(digits[1]))
    assert clone(again).get_params() == fitted.get_params()


def test_search_and_pipeline(digits: list[Any]) -> None:
    images, labels = digits[0][:400], digits[2][:400]
    pipeline = make_pipeline(MinMaxScaler(), kilonet.Classifier(**SMALL))
    grid = {"classifier__epochs": np.array([1, 6]), "classifier__lr": [0.01]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(images, labels)
    assert search.best_params_["classifier__epochs"] == 6
    scores = cross_val_score(search.best_estimator_, images, labels, cv=2)
    assert scores.mean() == pytest.approx(search.best_score_, abs=0.1)


def test_colours_and_many_classes() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(12), 6)
    images = rng.integers(0, 60, (72, 3, 30, 33)).astype(np.uint8)
    images[np.arange(72), labels % 3, :, labels] += 150
    model = kilonet.Classifier(**SMALL, max_parameters=70_000).fit(images, labels)
    assert model.image_shape_ == (3, 30, 33)
    assert model.predict_proba(images).shape == (72, 12)
    assert len(model.pretrained_.mean) == 3


def test_nothing_is_written(digits: list[Any], tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KILONET_RUNS", str(tmp_path / "runs"))
    kilonet.Classifier(**SMALL).fit(digits[0][:100], digits[2][:100])
    assert list(tmp_path.iterdir()) == []


def test_verbose_prints_a_line_an_epoch(
    digits: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    kilonet.Classifier(**SMALL, verbose=True).fit(digits[0][:100], digits[2][:100])
    assert capsys.readouterr().out.count("epoch") == 3


@pytest.mark.parametrize(
    ("parameters", "error", "text"),
    [
        ({"recipe": "fast"}, UsageError, 'no recipe "fast"'),
        ({"epochs": 0}, RecipeError, "epochs: must be at least 1"),
        ({"max_parameters": 1000}, RecipeError, "over constraints.max_parameters"),
        ({"device": "gpu"}, UsageError, 'no device "gpu"'),
        ({"overrides": ["optimizer.rl=1"]}, RecipeError, 'unknown key "rl"'),
        ({"validation": 0.0001}, RecipeError, "leaves 100 to train on and 0"),
        ({"overrides": ["training.teachers=['kilonet-8k']"]}, UsageError, "Leave them out"),
    ],
)
def test_wrong_parameters_are_named(
    digits: list[Any], parameters: dict[str, Any], error: type[KilonetError], text: str
) -> None:
    with pytest.raises(error, match=text):
        kilonet.Classifier(**{**SMALL, **parameters}).fit(digits[0][:100], digits[2][:100])


def test_wrong_arrays_are_named(fitted: kilonet.Classifier, digits: list[Any]) -> None:
    images, labels = digits[0][:9], digits[2][:9]
    for call, text in [
        (lambda: kilonet.Classifier().fit(images, labels[:5]), "inconsistent numbers of samples"),
        (lambda: kilonet.Classifier().fit(images * np.nan, labels), "contains NaN"),
        (lambda: kilonet.Classifier().fit(images, labels / 3), "Unknown label type"),
        (lambda: kilonet.Classifier().fit(images, [1] * 9), "1 class only"),
        (lambda: fitted.predict(images[:, :49]), "X has 49 features"),
        (lambda: fitted.predict(images.reshape(-1, 4, 16)), "trained on 1×8×8"),
    ]:
        with pytest.raises(ArrayError, match=text):
            call()
    with pytest.raises(NotFittedError):
        kilonet.Classifier().predict(images)


def test_a_shipped_model_as_a_classifier() -> None:
    model = kilonet.Classifier.from_pretrained("kilonet-8k")
    assert model.classes_.tolist() == list("0123456789")
    assert model.predict(np.zeros((2, 28, 28), dtype=np.uint8)).shape == (2,)
    assert pickle.loads(pickle.dumps(model)).n_features_in_ == 784
