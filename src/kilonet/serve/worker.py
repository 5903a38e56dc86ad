"""A worker process: it decodes and prepares pictures and runs the network, and nothing else.

    python -m kilonet.serve.worker MODEL.onnx MAX_PIXELS PICTURE_SECONDS

It receives messages with pictures on stdin and sends messages with results to stdout (see
``messages``). Its first message has the class names, or the error if the model cannot be loaded. It
ends when stdin is closed and ignores SIGINT and SIGTERM, which also reach the service.
"""

from __future__ import annotations

import io
import math
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from kilonet.errors import KilonetError
from kilonet.inference.model import OnnxSession
from kilonet.metadata import MNIST_SHAPE
from kilonet.preprocessing import PictureError
from kilonet.preprocessing.prepare import PreparedPicture
from kilonet.serve import messages
from kilonet.serve.messages import Refusal, RequestPicture, Result
from kilonet.serve.monitoring import log, write_log_in_thread

PIXELS = "Pixels are for models of 1×28×28; this one takes {}. Send the picture's file instead."
SIDE = MNIST_SHAPE[-1]
HEADER_SECONDS = 1.0  # of CPU time to read the size of a picture
GROUP_SECONDS = 0.2  # after which the rest of a group waits again, behind other clients' pictures
TOO_SLOW = "The picture takes more than {:g} seconds to prepare. Scale it down."
UNPREPARED = "The picture could not be prepared. This is a bug in Kilonet; please report it."


def main(arguments: Sequence[str]) -> int:
    """Load the model, report it, and predict until stdin ends; return the exit status."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the service finishes its open requests first
    stdout = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # a stray print would corrupt a message
    model, max_pixels, picture_seconds = arguments
    try:
        session = OnnxSession(Path(model))
    except KilonetError as error:
        _send(stdout, messages.pack_json({"error": str(error)}))
        return error.exit_code
    _send(stdout, messages.pack_json({"classes": session.classes, "version": session.version}))
    with write_log_in_thread():
        while (content := _receive(sys.stdin.buffer)) is not None:
            pictures = messages.unpack_pictures(content)
            results = predict(session, pictures, int(max_pixels), float(picture_seconds))
            pixels = [count_pixels(one, int(max_pixels)) for one in pictures[: len(results)]]
            _send(stdout, messages.pack_json(pixels))
            _send(stdout, messages.pack_results(results))
    return 0


def predict(
    session: OnnxSession,
    pictures: Sequence[RequestPicture],
    max_pixels: int,
    picture_seconds: float = math.inf,
) -> list[Result]:
    """Return the results of the pictures for which there is time: of the first, at least.

    No picture is begun after ``GROUP_SECONDS``. One that takes more than ``picture_seconds`` of CPU
    time is refused. The network runs once for all of them.
    """
    latest = time.monotonic() + GROUP_SECONDS
    prepared: list[PreparedPicture | Refusal] = []
    for picture in pictures:
        if prepared and time.monotonic() > latest:
            break
        prepared.append(_prepare_in_time(session, picture, max_pixels, picture_seconds))
    found = iter(session.classify([one for one in prepared if not isinstance(one, Refusal)]))
    return [one if isinstance(one, Refusal) else next(found)[0] for one in prepared]


def count_pixels(picture: RequestPicture, maximum: int) -> int:
    """Return the number of pixels by the header of a picture, at most ``maximum``."""
    if picture.kind == "pixels":
        return SIDE * SIDE
    try:
        with _cpu_limit(HEADER_SECONDS), Image.open(io.BytesIO(picture.content)) as image:
            return min(image.width * image.height, maximum)
    except _OutOfTimeError:
        return maximum
    except Exception:  # not a picture: it was refused
        return 0


class _OutOfTimeError(BaseException):
    """The time for a picture is over. No ``except Exception`` of a decoder catches it."""


def _prepare_in_time(
    session: OnnxSession, picture: RequestPicture, max_pixels: int, seconds: float
) -> PreparedPicture | Refusal:
    try:
        with _cpu_limit(seconds):
            return _prepare(session, picture, max_pixels)
    except _OutOfTimeError:
        return Refusal("too-slow", TOO_SLOW.format(seconds))


@contextmanager
def _cpu_limit(seconds: float) -> Iterator[None]:
    """Raise ``_OutOfTimeError`` in the body when it has used ``seconds`` of CPU time.

    It cannot interrupt a call into a library; the service kills a worker that stays in one.
    """
    if seconds == math.inf or not hasattr(signal, "setitimer"):  # Windows has none
        yield
        return
    signal.signal(signal.SIGPROF, _raise_out_of_time)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _raise_out_of_time(*_: object) -> None:
    raise _OutOfTimeError


def _prepare(
    session: OnnxSession, picture: RequestPicture, max_pixels: int
) -> PreparedPicture | Refusal:
    try:
        if picture.kind == "file":
            return session.prepare_picture(picture.content, max_pixels=max_pixels)
        if session.shape != MNIST_SHAPE:
            return Refusal("pixels", PIXELS.format("×".join(map(str, session.shape))))
        pixels = np.frombuffer(picture.content, dtype=np.uint8).reshape(28, 28)
        return session.prepare_picture(pixels)
    except PictureError as error:
        return Refusal(error.kind, str(error))
    except MemoryError:
        return Refusal("too-large", "The picture does not fit into memory. Scale it down.")
    except Exception:  # a bug must not fail the other pictures of the group
        log("failure", level="error", traceback=traceback.format_exc())
        return Refusal("unprepared", UNPREPARED)


def _receive(stream: BinaryIO) -> bytes | None:
    """Return the content of the next message; None at the end of the stream."""
    head = stream.read(messages.LENGTH.size)
    if len(head) < messages.LENGTH.size:
        return None
    (length,) = messages.LENGTH.unpack(head)
    content = stream.read(length)
    return content if len(content) == length else None


def _send(stream: BinaryIO, message: bytes) -> None:
    stream.write(message)
    stream.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
