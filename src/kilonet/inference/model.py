"""Find the ONNX model that a name means, load it, and run it on prepared images."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from kilonet.content import is_intact, read_content
from kilonet.errors import KilonetError, RunError, UsageError
from kilonet.metadata import INK, classes_of, preparation_of
from kilonet.preprocessing import letterbox
from kilonet.preprocessing.decode import MAX_PIXELS, PictureSource
from kilonet.preprocessing.prepare import PreparedDigit, PreparedPicture, prepare_picture

Images: TypeAlias = npt.NDArray[np.uint8]
Probabilities: TypeAlias = npt.NDArray[np.float32]

SUFFIX = ".onnx"
DIGITS = tuple("0123456789")
DETECTOR = Path(__file__).with_name("digit_detector.onnx")
"""A network with the classes "0" to "9" and "none"; ``experiments/train_detector.py`` made it."""
MIN_DIGIT_SCORE = 0.5  # below, what a picture shows is no digit
CUT_OFF = "The edge of the picture seems to cut the digit off."
MORE_FRAMES = "Only the first page or frame of the file was read."
NOT_A_DIGIT = "This does not look like a digit."
CUT_OFF_TEMPERATURE = 2.5  # of the softmax for digits that the picture may cut off
DEFAULT_MODEL = "kilonet-25k"
MAX_SIDE = 4096  # pixels of each side of the input
MAX_CLASSES = 65_536
LOOPS = (b"Loop", b"Scan")  # operators that may never end
RUN_SECONDS = 20.0  # that a network with such an operator may take
TOLERANCE = 1e-3  # of the rounding of a probability
INPUT, OUTPUT, LOGITS = "image", "probabilities", "logits"


class ModelError(KilonetError):
    """An ONNX file is damaged, or is not a classifier of grey or colour images."""


@dataclass(frozen=True)
class Classification:
    """What a network says of one prepared image.

    ``probabilities`` has one per class. ``digit_score``, from 0 to 1, says how much the image looks
    like a digit; it is None for networks whose classes are not the ten digits. ``notes`` are
    sentences on what the picture leaves in doubt.
    """

    probabilities: tuple[float, ...]
    digit_score: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def is_refused(self) -> bool:
        """Whether the image does not look like a digit."""
        return self.digit_score is not None and self.digit_score < MIN_DIGIT_SCORE


def find_model(name: str | os.PathLike[str] | None) -> Path:
    """Return the path of the ONNX file that ``name`` means.

    ``name`` is a file that ends in .onnx, or a run (its name or directory), or None for
    ``DEFAULT_MODEL``, which is part of the package.

    Raises:
        UsageError: there is no such file or run.
        RunError: the run has not finished, or has no ONNX file.
    """
    if name is None:  # without Pydantic, which takes a quarter of the time of one prediction
        return Path(__file__).resolve().parents[1] / "pretrained" / DEFAULT_MODEL / "model.onnx"
    path = Path(name)
    if path.suffix == SUFFIX:
        if not path.is_file():
            raise UsageError(f"There is no file {path}. Name an ONNX file, or a run.")
        return path
    return _model_of_run(path)


def _model_of_run(name: Path) -> Path:
    from kilonet.runs import layout
    from kilonet.runs.find import open_run

    run = open_run(os.fspath(name))
    run.require_finished()
    path = run.checked_file(layout.ONNX)
    if not path.is_file():
        note = run.facts.get("onnx_note")
        raise RunError(f"{run.path} has no {layout.ONNX}{f': {note}' if note else '.'}")
    return path


class OnnxSession:
    """A classifier from an ONNX file that training or ``export`` wrote.

    ``shape`` is (C, H, W) of its input, ``classes`` the class names, ``version`` the beginning of
    the file's SHA-256. ``prepares_digits`` is True if its input is a digit prepared as an MNIST
    image, False if it is a whole picture.
    """

    def __init__(self, path: Path) -> None:
        """Load ``path``.

        Raises:
            ModelError: it cannot be loaded, or its inputs or outputs are of another kind.
        """
        self.path = path
        content = _read(path)
        self.version = hashlib.sha256(content).hexdigest()[:12]
        self._session = _load(content, path)
        self._may_loop = any(kind in content for kind in LOOPS)
        self.shape, self._count = self._check_interface()
        self._try_blank_images()
        metadata = self._session.get_modelmeta().custom_metadata_map
        self.classes = classes_of(metadata, self._count)
        self.prepares_digits = preparation_of(metadata, self.shape) == INK

    def prepare(self, source: PictureSource, *, max_pixels: int = MAX_PIXELS) -> Images:
        """Return one picture as network input, uint8: a prepared digit, or the resized picture.

        Raises:
            PictureError: it is not a picture; or it has no digit, or several.
        """
        return self.prepare_picture(source, max_pixels=max_pixels).digits[0].image

    def prepare_picture(
        self, source: PictureSource, *, several: bool = False, max_pixels: int = MAX_PIXELS
    ) -> PreparedPicture:
        """Return one picture as network input, with what is to be said of it.

        Raises:
            PictureError: it is not a picture; or it has no digit, or more than one and not
                ``several``.
        """
        if self.prepares_digits:
            return prepare_picture(source, max_pixels=max_pixels, several=several)
        return PreparedPicture(
            [PreparedDigit(letterbox(source, self.shape, max_pixels=max_pixels))]
        )

    def classify(self, pictures: Sequence[PreparedPicture]) -> list[list[Classification]]:
        """Return the classification of each digit of each picture; networks run once for all.

        The probabilities of a digit that is cut off are made less certain: p^(1/T), normalised.
        """
        digits = [digit for picture in pictures for digit in picture.digits]
        if not digits:
            return [[] for _ in pictures]
        images = np.stack([digit.image for digit in digits])
        probabilities = self.probabilities(images)
        cut_off = np.array([digit.cut_off for digit in digits])
        if cut_off.any():
            tempered = probabilities[cut_off] ** (1 / CUT_OFF_TEMPERATURE)
            probabilities[cut_off] = tempered / tempered.sum(axis=1, keepdims=True)
        rows = iter(zip(probabilities.tolist(), self._digit_scores(images), strict=True))
        return [
            [
                Classification(tuple(row), score, _notes(picture, digit, score))
                for digit, (row, score) in zip(picture.digits, rows, strict=False)
            ]
            for picture in pictures
        ]

    @cached_property
    def _detector(self) -> OnnxSession | None:
        """The network that tells digits from other figures, if this one classifies digits."""
        is_for_digits = self.prepares_digits and self.classes == DIGITS
        return OnnxSession(DETECTOR) if is_for_digits else None

    def _digit_scores(self, images: Images) -> list[float] | list[None]:
        if self._detector is None:
            return [None] * len(images)
        none = self._detector.probabilities(images)[:, len(DIGITS)]
        return [1 - value for value in none.tolist()]

    def probabilities(self, images: Images) -> Probabilities:
        """Return (N, classes) for prepared images: uint8 (N, C, H, W), or (N, H, W) if C is 1."""
        result = self._run(OUTPUT, images.reshape(-1, *self.shape))
        if not (result.min(initial=0) >= -TOLERANCE and result.max(initial=0) <= 1 + TOLERANCE):
            raise self._error("its probabilities are not between 0 and 1")  # NaN is not, either
        return result

    def logits(self, images: Images) -> Probabilities:
        """Return (N, classes) for prepared images: logits, or else logarithms of probabilities."""
        if LOGITS not in [output.name for output in self._session.get_outputs()]:
            probabilities = self.probabilities(images)
            return np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))
        return self._run(LOGITS, images.reshape(-1, *self.shape))

    def _try_blank_images(self) -> None:
        """Check what the file declares: run it on two images, with a limit of time."""
        before, self._may_loop = self._may_loop, True
        self.probabilities(np.zeros((2, *self.shape), dtype=np.uint8))
        self._may_loop = before

    def _run(self, output: str, batch: Images) -> Probabilities:
        """Return ``output``, float32 (N, classes)."""
        try:
            with _time_limit() if self._may_loop else nullcontext() as options:
                (result,) = self._session.run([output], {INPUT: batch}, options)
        except Exception as error:  # ONNX Runtime has a class of its own for every kind of failure
            raise self._error(_first_line(error)) from None
        if result.shape != (len(batch), self._count):
            raise self._error(
                f"it gives {output} of the shape {result.shape} for {len(batch)} images, not "
                f"N×{self._count}"
            )
        return np.asarray(result)

    def _error(self, reason: str) -> ModelError:
        return ModelError(f"{self.path} cannot be used: {reason}. Export or train it again.")

    def _check_interface(self) -> tuple[tuple[int, int, int], int]:
        """Return the input's (C, H, W) and the number of classes."""
        inputs = {value.name: value for value in self._session.get_inputs()}
        outputs = {value.name: value for value in self._session.get_outputs()}
        shape = tuple(inputs[INPUT].shape[1:]) if list(inputs) == [INPUT] else ()
        valid = (
            len(shape) == 3
            and all(isinstance(side, int) and side > 0 for side in shape)
            and shape[0] in (1, 3)
            and max(shape) <= MAX_SIDE
            and inputs[INPUT].type == "tensor(uint8)"
            and OUTPUT in outputs
            and outputs[OUTPUT].type == "tensor(float)"
            and len(outputs[OUTPUT].shape) == 2
            and isinstance(outputs[OUTPUT].shape[1], int)
            and 2 <= outputs[OUTPUT].shape[1] <= MAX_CLASSES
        )
        if not valid:
            raise ModelError(
                f'{self.path} does not classify pictures: it must take one input "{INPUT}", uint8 '
                f"N×C×H×W with one channel or three and sides of at most {MAX_SIDE:,}, and give "
                f'"{OUTPUT}", float32 N×K with 2 to {MAX_CLASSES:,} classes, as the ONNX file of a '
                "run does."
            )
        channels, height, width = shape
        return (channels, height, width), outputs[OUTPUT].shape[1]


@contextmanager
def _time_limit() -> Iterator[Any]:
    """Provide options with which a run ends after ``RUN_SECONDS``."""
    import onnxruntime

    options = onnxruntime.RunOptions()
    timer = threading.Timer(RUN_SECONDS, lambda: setattr(options, "terminate", True))
    timer.daemon = True
    timer.start()
    try:
        yield options
    finally:
        timer.cancel()


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".: ")


def _read(path: Path) -> bytes:
    try:
        content = read_content(path)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}.") from None
    if not is_intact(content):
        raise ModelError(
            f"{path} is damaged: its checksum does not fit. Restore it, or export it again; if "
            "another program changed it, remove its metadata entry checksum."
        )
    return content


def _notes(picture: PreparedPicture, digit: PreparedDigit, score: float | None) -> tuple[str, ...]:
    possible = {
        CUT_OFF: digit.cut_off,
        NOT_A_DIGIT: score is not None and score < MIN_DIGIT_SCORE,
        MORE_FRAMES: picture.has_more,
    }
    return tuple(note for note, holds in possible.items() if holds)


def _load(content: bytes, path: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # threads cost more than they save in networks this small
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # errors are raised; do not print them as well
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime has a class of its own for every kind of failure
        raise ModelError(
            f"{path} is not an ONNX file that can be run: {_first_line(error)}. Export or train it "
            "again."
        ) from None
