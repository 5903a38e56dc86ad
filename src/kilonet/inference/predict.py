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
from kilonet.inference.model import OnnxSession, find_model
from kilonet.preprocessing import PictureError
from kilonet.preprocessing.decode import PictureSource
from kilonet.preprocessing.prepare import PreparedDigit, PreparedPicture

BATCH = 64
CUT_OFF = "The digit reaches the edge of the picture and may be cut off."
MORE_FRAMES = "Only the first page or frame of the file was read."

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
    """Whether the confidence is below the requested minimum."""
    notes: tuple[str, ...] = ()
    """What the picture leaves in doubt, a sentence each: ``CUT_OFF``, ``MORE_FRAMES``."""

    @classmethod
    def from_probabilities(
        cls,
        probabilities: Sequence[float],
        classes: Sequence[str],
        min_confidence: float,
        notes: tuple[str, ...] = (),
    ) -> Prediction:
        """Return the prediction for ``probabilities``, one per class."""
        order = sorted(range(len(probabilities)), key=probabilities.__getitem__, reverse=True)
        (first, second), best = order[:2], probabilities[order[0]]
        return cls(
            classes[first],
            best,
            classes[second],
            probabilities[second],
            best < min_confidence,
            notes,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the fields by name, probabilities rounded to 6 decimals; ``notes`` if any."""
        notes = {"notes": list(self.notes)} if self.notes else {}
        return {
            "digit": self.digit,
            "confidence": round(self.confidence, 6),
            "runner_up": self.runner_up,
            "runner_up_confidence": round(self.runner_up_confidence, 6),
            "unsure": self.unsure,
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
        self, pictures: PictureSource, *, min_confidence: float = 0.0
    ) -> Prediction: ...
    @overload
    def predict(  # type: ignore[overload-overlap]
        self, pictures: Iterator[PictureSource], *, min_confidence: float = 0.0
    ) -> Iterator[Prediction]: ...
    @overload
    def predict(
        self, pictures: Iterable[PictureSource], *, min_confidence: float = 0.0
    ) -> list[Prediction]: ...
    def predict(
        self, pictures: PictureSource | Iterable[PictureSource], *, min_confidence: float = 0.0
    ) -> Prediction | list[Prediction] | Iterator[Prediction]:
        """Predict the one digit in a picture, or in each of several.

        A picture is a path, the bytes of a file, a PIL image or an array (see
        ``kilonet.preprocessing.decode.decode_grey``). One picture gives a ``Prediction``; a list,
        or an array (N, H, W) or (N, H, W, C), gives a list; an iterator gives an iterator, which
        reads one batch ahead. A prediction below ``min_confidence``, 0 to 1, is ``unsure``.

        Raises:
            PictureError: a picture has no digit, or several; ``stream`` continues after errors.
            UsageError: ``min_confidence`` is not a probability.
        """
        if _is_one(pictures):
            return next(self._single([pictures], min_confidence))
        predictions = self._single(pictures, min_confidence)
        return predictions if isinstance(pictures, Iterator) else list(predictions)

    def read_all(self, picture: PictureSource, *, min_confidence: float = 0.0) -> list[Prediction]:
        """Predict every digit in a picture, left to right.

        Raises:
            PictureError: there is none.
            UsageError: ``min_confidence`` is not a probability.
        """
        return _unwrap(next(self.stream([picture], min_confidence=min_confidence, several=True)))

    def stream(
        self,
        pictures: Iterable[PictureSource],
        *,
        min_confidence: float = 0.0,
        several: bool = False,
    ) -> Iterator[PictureResult]:
        """Yield, for each picture in order, its predictions or its error.

        With ``several``, a picture may have any number of digits, predicted left to right;
        otherwise it has one. One batch of pictures is opened at a time.

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
        return self._stream(iter(pictures), min_confidence, several)

    def _single(self, pictures: Any, min_confidence: float) -> Iterator[Prediction]:
        results = self.stream(pictures, min_confidence=min_confidence)
        return (_unwrap(result)[0] for result in results)

    def _stream(
        self, pictures: Iterator[PictureSource], min_confidence: float, several: bool
    ) -> Iterator[PictureResult]:
        while batch := [
            self._prepare(picture, several) for picture in itertools.islice(pictures, BATCH)
        ]:
            prepared = [one for one in batch if isinstance(one, PreparedPicture)]
            predictions = iter(self._classify(prepared, min_confidence))
            for one in batch:
                yield one if isinstance(one, PictureError) else next(predictions)

    def _prepare(self, picture: PictureSource, several: bool) -> PreparedPicture | PictureError:
        try:
            return self._session.prepare_picture(picture, several=several)
        except PictureError as error:
            return error

    def _classify(
        self, pictures: list[PreparedPicture], min_confidence: float
    ) -> list[list[Prediction]]:
        """Return the predictions of each picture; the network runs once for all of them."""
        digits = [digit for picture in pictures for digit in picture.digits]
        rows = iter(self._session.classify(digits).tolist() if digits else [])
        return [
            [
                Prediction.from_probabilities(
                    next(rows), self.classes, min_confidence, _notes(picture, digit)
                )
                for digit in picture.digits
            ]
            for picture in pictures
        ]


def _notes(picture: PreparedPicture, digit: PreparedDigit) -> tuple[str, ...]:
    possible = {CUT_OFF: digit.cut_off, MORE_FRAMES: picture.has_more}
    return tuple(note for note, holds in possible.items() if holds)


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
