"""Pictures in, predictions out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import kilonet
from kilonet.errors import UsageError
from kilonet.inference import Prediction, Reader
from kilonet.inference.predict import BATCH
from kilonet.preprocessing import PictureError, prepare
from trained import Trained


def test_the_public_name(finished: Trained, zero: Path) -> None:
    found = kilonet.reader(finished.path).predict(zero)
    assert isinstance(found, Prediction)
    assert 1 >= found.confidence > found.runner_up_confidence >= 0
    assert not found.unsure


def test_the_most_likely_class_and_the_runner_up(reads: Reader, zero: Path) -> None:
    found = reads.predict(zero)
    assert (found.digit, found.runner_up) == ("0", "1")
    assert found.confidence > 0.99


def test_every_form_of_a_picture(reads: Reader, zero: Path) -> None:
    image = Image.open(zero)
    expected = reads.predict(zero)
    for same in (str(zero), zero.read_bytes(), image, np.asarray(image), np.asarray(image) / 255):
        assert reads.predict(same) == expected


def test_lists_iterators_and_arrays_of_several(reads: Reader, zero: Path) -> None:
    expected = reads.predict(zero)
    assert reads.predict([zero, zero]) == [expected] * 2
    assert reads.predict([]) == []
    pixels = np.asarray(Image.open(zero))
    assert reads.predict(np.stack([pixels] * 3)) == [expected] * 3
    assert reads.predict(np.stack([np.dstack([pixels] * 3)] * 2)) == [expected] * 2
    lazily = reads.predict(path for path in [zero, zero])
    assert isinstance(lazily, Iterator)
    assert list(lazily) == [expected] * 2


def test_an_iterator_is_read_one_batch_ahead(reads: Reader, zero: Path) -> None:
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield zero.read_bytes()

    assert next(reads.predict(endless())).digit == "0"
    assert taken == BATCH


def test_a_batch_gives_the_same_as_single_pictures(reads: Reader) -> None:
    images = np.random.default_rng(0).integers(0, 256, (BATCH + 5, 30, 30), dtype=np.uint8)
    images[:, :8] = images[:, :, :8] = images[:, -8:] = images[:, :, -8:] = 0
    together = list(reads.stream(images))
    alone = [next(reads.stream([image])) for image in images]
    for a, b in zip(together, alone, strict=True):
        if isinstance(b, PictureError):
            assert isinstance(a, PictureError)
        else:
            assert isinstance(a, list)
            assert a[0].digit == b[0].digit
            assert a[0].confidence == pytest.approx(b[0].confidence, abs=1e-5)


def test_an_error_does_not_affect_other_pictures(reads: Reader, zero: Path) -> None:
    first, second, third = reads.stream([zero, b"nonsense", zero])
    assert first == third == [reads.predict(zero)]
    assert isinstance(second, PictureError)
    with pytest.raises(PictureError, match="cannot be read"):
        reads.predict([zero, b"nonsense"])


def test_several_digits(reads: Reader, zero: Path) -> None:
    pixels = np.asarray(Image.open(zero))
    row = np.hstack([pixels, pixels, pixels])
    with pytest.raises(PictureError, match="3 digits"):
        reads.predict(row)
    assert [prediction.digit for prediction in reads.read_all(row)] == ["0", "0", "0"]
    assert reads.read_all(zero) == [reads.predict(zero)]


def test_unsure_below_the_minimum_confidence(reads: Reader, zero: Path) -> None:
    half = np.asarray(Image.open(zero))[:50]  # neither a 0 nor a 1
    found = reads.predict(half)
    assert not reads.predict(half, min_confidence=found.confidence).unsure
    unsure = reads.predict(half, min_confidence=found.confidence + 1e-4)
    assert unsure.unsure
    assert (unsure.digit, unsure.confidence) == (found.digit, found.confidence)
    for wrong in (-0.1, 1.5, float("nan")):
        with pytest.raises(UsageError, match="must be 0 to 1"):
            reads.predict(zero, min_confidence=wrong)


def test_probabilities_are_those_of_the_prepared_image(reads: Reader, zero: Path) -> None:
    assert reads.predict(prepare(zero)) == reads.predict(zero)


def test_json_has_probabilities_to_six_decimals() -> None:
    prediction = Prediction("7", 0.98765432, "1", 0.01, unsure=False)
    assert prediction.to_json() == {
        "digit": "7",
        "confidence": 0.987654,
        "runner_up": "1",
        "runner_up_confidence": 0.01,
        "unsure": False,
    }
