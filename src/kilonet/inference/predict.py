"""Predict the digits in pictures, one or thousands, a batch at a time."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, overload

import numpy as np
from PIL import Image

from kilonet.errors import UsageError
from kilonet.inference.model import Classification, OnnxSession, find_model
from kilonet.preprocessing import PictureError
from kilonet.preprocessing.decode import PictureSource
from kilonet.preprocessing.errors import NotADigitError
from kilonet.preprocessing.prepare import PreparedPicture

BATCH = 64

PictureResult: TypeAlias = "list[Prediction] | PictureError"
"""The predictions of one picture, or the error that it caused."""


@dataclass(frozen=True)
class Prediction:
    """The most likely class of one image and the second most likely, with their probabilities.

    The field ``digit`` is the class name, also where the classes are not digits.
    """

    digit: str
    confidence: float
    runner_up: str
    runner_up_confidence: float
    unsure: bool
    """Whether the confidence is below the requested minimum, or this does not look like a digit."""
    digit_score: float | None = None
    """How much the image looks like a digit, 0 to 1; less than 0.5 is refused, unless forced.

    None if the classes of the network are not the ten digits.
    """
    notes: tuple[str, ...] = ()
    """What the picture leaves in doubt, a sentence each: see ``kilonet.inference.model``."""

    @classmethod
    def from_classification(
        cls, found: Classification, classes: Sequence[str], min_confidence: float
    ) -> Prediction:
        """Return the prediction for one image; ``classes`` are the names of the classes."""
        probabilities = found.probabilities
        order = sorted(range(len(probabilities)), key=probabilities.__getitem__, reverse=True)
        (first, second), best = order[:2], probabilities[order[0]]
        return cls(
            classes[first],
            best,
            classes[second],
            probabilities[second],
            best < min_confidence or found.is_refused,
            found.digit_score,
            found.notes,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the fields by name, rounded to 6 decimals; score and notes if there are any."""
        score = {} if self.digit_score is None else {"digit_score": round(self.digit_score, 6)}
        notes = {"notes": list(self.notes)} if self.notes else {}
        return {
            "digit": self.digit,
            "confidence": round(self.confidence, 6),
            "runner_up": self.runner_up,
            "runner_up_confidence": round(self.runner_up_confidence, 6),
            "unsure": self.unsure,
            **score,
            **notes,
        }


class Reader:
    """Predicts digits with one ONNX file."""

    def __init__(self, path: Path) -> None:
        """Load the ONNX file ``path``; raise ``ModelError`` if that is not possible."""
        self._session = OnnxSession(path)

    @property
    def path(self) -> Path:
        """The ONNX file."""
        return self._session.path

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names."""
        return self._session.classes

    # A str is an iterable of str too: the first overload that matches is used.
    @overload
    def predict(  # type: ignore[overload-overlap]
        self, pictures: PictureSource, *, min_confidence: float = 0.0, force: bool = False
    ) -> Prediction: ...
    @overload
    def predict(  # type: ignore[overload-overlap]
        self, pictures: Iterator[PictureSource], *, min_confidence: float = 0.0, force: bool = False
    ) -> Iterator[Prediction]: ...
    @overload
    def predict(
        self,
        pictures: Iterable[PictureSource],
        *,
        min_confidence: float = 0.0,
        force: bool = False,
    ) -> list[Prediction]: ...
    def predict(
        self,
        pictures: PictureSource | Iterable[PictureSource],
        *,
        min_confidence: float = 0.0,
        force: bool = False,
    ) -> Prediction | list[Prediction] | Iterator[Prediction]:
        """Predict the one digit in a picture, or in each of several.

        A picture is a path, the bytes of a file, a PIL image or an array (see
        ``kilonet.preprocessing.decode.decode_grey``). One picture gives a ``Prediction``; a list,
        or an array (N, H, W) or (N, H, W, C), gives a list; an iterator gives an iterator, which
        reads one batch ahead. A prediction below ``min_confidence``, 0 to 1, is ``unsure``. With
        ``force``, what does not look like a digit is predicted too.

        Raises:
            PictureError: a picture has no digit, or several; ``stream`` continues after errors.
            UsageError: ``min_confidence`` is not a probability.
        """
        if _is_one(pictures):
            return next(self._single([pictures], min_confidence, force))
        predictions = self._single(pictures, min_confidence, force)
        return predictions if isinstance(pictures, Iterator) else list(predictions)

    def read_all(
        self, picture: PictureSource, *, min_confidence: float = 0.0, force: bool = False
    ) -> list[Prediction]:
        """Predict every digit in a picture, left to right.

        What does not look like a digit is ``unsure``; a picture of nothing else is an error, unless
        ``force`` is set.

        Raises:
            PictureError: there is none.
            UsageError: ``min_confidence`` is not a probability.
        """
        results = self.stream([picture], min_confidence=min_confidence, several=True, force=force)
        return _unwrap(next(results))

    def stream(
        self,
        pictures: Iterable[PictureSource],
        *,
        min_confidence: float = 0.0,
        several: bool = False,
        force: bool = False,
    ) -> Iterator[PictureResult]:
        """Yield, for each picture in order, its predictions or its error.

        With ``several``, a picture may have any number of digits, predicted left to right;
        otherwise it has one. With ``force``, a picture may show something else than a digit. One
        batch of pictures is opened at a time.

        Raises:
            UsageError: ``min_confidence`` is not a probability, or the model classifies whole
                pictures and ``several`` is set.
        """
        if not 0 <= min_confidence <= 1:
            raise UsageError(f"The minimum confidence is {min_confidence}; it must be 0 to 1.")
        if several and not self._session.prepares_digits:
            raise UsageError(
                f"{self.path} classifies whole pictures, not the digits in them. Leave out --split."
            )
        return self._stream(iter(pictures), min_confidence, several, force)

    def _single(self, pictures: Any, min_confidence: float, force: bool) -> Iterator[Prediction]:
        results = self.stream(pictures, min_confidence=min_confidence, force=force)
        return (_unwrap(result)[0] for result in results)

    def _stream(
        self, pictures: Iterator[PictureSource], min_confidence: float, several: bool, force: bool
    ) -> Iterator[PictureResult]:
        while batch := [
            self._prepare(picture, several) for picture in itertools.islice(pictures, BATCH)
        ]:
            prepared = [one for one in batch if isinstance(one, PreparedPicture)]
            results = iter(self._session.classify(prepared))
            for one in batch:
                if isinstance(one, PictureError):
                    yield one
                    continue
                found = next(results)
                if not force and all(digit.is_refused for digit in found):
                    yield NotADigitError(one.name)
                    continue
                yield [
                    Prediction.from_classification(digit, self.classes, min_confidence)
                    for digit in found
                ]

    def _prepare(self, picture: PictureSource, several: bool) -> PreparedPicture | PictureError:
        try:
            return self._session.prepare_picture(picture, several=several)
        except PictureError as error:
            return error


def reader(model: str | os.PathLike[str] | None = None) -> Reader:
    """Return a ``Reader`` for ``model``: an ONNX file, or the name or directory of a run.

        reader = kilonet.reader("gap-14k-1")
        reader.predict("seven.png").digit

    The default is ``kilonet-25k``, which is part of the package.

    Raises:
        UsageError: there is no such model.
        ModelError: its file is damaged, or it does not classify grey or colour images.
    """
    return Reader(find_model(model))


def _unwrap(result: PictureResult) -> list[Prediction]:
    if isinstance(result, PictureError):
        raise result
    return result


def _is_one(pictures: Any) -> bool:
    if isinstance(pictures, np.ndarray):
        return pictures.ndim < 3 or (pictures.ndim == 3 and pictures.shape[2] in (1, 3, 4))
    return isinstance(pictures, str | bytes | bytearray | memoryview | Image.Image) or hasattr(
        pictures, "__fspath__"
    )
