"""Reads pictures, one or thousands, a batch at a time."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeAlias, overload

import numpy as np
import numpy.typing as npt
from PIL import Image

from kilonet.errors import UsageError
from kilonet.inference.results import Reading
from kilonet.inference.session import Session
from kilonet.preprocessing import PictureError, split
from kilonet.preprocessing.opening import Source

BATCH = 64

Digits: TypeAlias = list[npt.NDArray[np.uint8]]
Outcome: TypeAlias = "list[Reading] | PictureError"


class Reader:
    """Reads digits with one ONNX file. ``classes`` are the names of what it tells apart."""

    def __init__(self, path: Path) -> None:
        """Load the ONNX file ``path``; raise ``ModelError`` if that is not possible."""
        self._session = Session(path)

    @property
    def path(self) -> Path:
        """The ONNX file."""
        return self._session.path

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of its classes."""
        return self._session.classes

    # A str is an iterable of str too; the first that fits counts, for mypy as here.
    @overload
    def predict(  # type: ignore[overload-overlap]
        self, pictures: Source, *, min_confidence: float = 0.0
    ) -> Reading: ...
    @overload
    def predict(  # type: ignore[overload-overlap]
        self, pictures: Iterator[Source], *, min_confidence: float = 0.0
    ) -> Iterator[Reading]: ...
    @overload
    def predict(
        self, pictures: Iterable[Source], *, min_confidence: float = 0.0
    ) -> list[Reading]: ...
    def predict(
        self, pictures: Source | Iterable[Source], *, min_confidence: float = 0.0
    ) -> Reading | list[Reading] | Iterator[Reading]:
        """Read the one digit of a picture, or of each of several.

        A picture is a path, the bytes of a file, a PIL image or an array (see
        ``pictures.opening.open_picture``). One gives a ``Reading``; a list, or an array (N, H, W)
        or (N, H, W, C), gives a list; an iterator gives an iterator, which reads ahead by a batch.
        Below ``min_confidence``, 0 to 1, a reading is ``unsure``.

        Raises:
            PictureError: a picture has no digit or several; ``stream`` goes on after such ones.
            UsageError: ``min_confidence`` is no probability.
        """
        if _is_one(pictures):
            return next(self._single([pictures], min_confidence))
        found = self._single(pictures, min_confidence)
        return found if isinstance(pictures, Iterator) else list(found)

    def read_all(self, picture: Source, *, min_confidence: float = 0.0) -> list[Reading]:
        """Read all digits of a picture, left to right.

        Raises:
            PictureError: there is none.
            UsageError: ``min_confidence`` is no probability.
        """
        return _raised(next(self.stream([picture], min_confidence=min_confidence, several=True)))

    def stream(
        self, pictures: Iterable[Source], *, min_confidence: float = 0.0, several: bool = False
    ) -> Iterator[Outcome]:
        """Yield, for each picture in turn, its readings or what is wrong with it.

        With ``several``, a picture may have any number of digits, read left to right; otherwise
        there is one reading. Pictures are opened a batch at a time.

        Raises:
            UsageError: ``min_confidence`` is no probability, or the model reads pictures whole.
        """
        if not 0 <= min_confidence <= 1:
            raise UsageError(f"The least confidence is {min_confidence}; it must be 0 to 1.")
        if several and not self._session.frames_ink:
            raise UsageError(
                f"{self.path} reads pictures whole, not the digits in them. Leave out --split."
            )
        return self._stream(iter(pictures), min_confidence, several)

    def _single(self, pictures: Any, least: float) -> Iterator[Reading]:
        outcomes = self.stream(pictures, min_confidence=least)
        return (_raised(outcome)[0] for outcome in outcomes)

    def _stream(self, pictures: Iterator[Source], least: float, several: bool) -> Iterator[Outcome]:
        while batch := [
            self._images(picture, several) for picture in itertools.islice(pictures, BATCH)
        ]:
            images = [image for digits in batch if isinstance(digits, list) for image in digits]
            readings = iter(self._readings(images, least))
            for digits in batch:
                if isinstance(digits, PictureError):
                    yield digits
                else:
                    yield list(itertools.islice(readings, len(digits)))

    def _images(self, picture: Source, several: bool) -> Digits | PictureError:
        try:
            return split(picture) if several else [self._session.prepared(picture)]
        except PictureError as error:
            return error

    def _readings(self, images: Digits, least: float) -> list[Reading]:
        if not images:
            return []
        probabilities = self._session.probabilities(np.stack(images))
        return [Reading.of(row, self.classes, least) for row in probabilities.tolist()]


def _raised(outcome: Outcome) -> list[Reading]:
    if isinstance(outcome, PictureError):
        raise outcome
    return outcome


def _is_one(pictures: Any) -> bool:
    if isinstance(pictures, np.ndarray):
        return pictures.ndim < 3 or (pictures.ndim == 3 and pictures.shape[2] in (1, 3, 4))
    return isinstance(pictures, str | bytes | bytearray | memoryview | Image.Image) or hasattr(
        pictures, "__fspath__"
    )
