"""A worker: a process that decodes, prepares and reads pictures, and does nothing else.

    python -m kilonet.serve.worker MODEL.onnx MOST_PIXELS

Frames of pictures come on standard input, frames of what was read go to standard output (see
``wire``); the first frame out says what the model tells apart, or why it cannot be loaded. It ends
when standard input does, and with nothing else: whoever stops the service stops it first.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from kilonet.errors import KilonetError
from kilonet.inference.model import OnnxSession
from kilonet.metadata import MNIST_SHAPE
from kilonet.preprocessing import PictureError
from kilonet.serve import wire
from kilonet.serve.logs import log

PIXELS = "Pixels are for models of 1×28×28; this one takes {}. Send the picture's file instead."
UNPREPARED = "The picture could not be prepared. This is a mistake in Kilonet; please report it."


def main(arguments: Sequence[str]) -> int:
    """Load the model, say so, and read until the input ends; return the exit status."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the service finishes what is under way
    results = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # a stray print would break a frame
    model, most_pixels = arguments
    try:
        session = OnnxSession(Path(model))
    except KilonetError as error:
        _send(results, wire.pack_json({"error": str(error)}))
        return error.exit_code
    _send(results, wire.pack_json({"classes": session.classes}))
    while (frame := _received(sys.stdin.buffer)) is not None:
        outcomes = read(session, wire.unpack_pictures(frame), int(most_pixels))
        _send(results, wire.pack_outcomes(outcomes))
    return 0


def read(
    session: OnnxSession, pictures: Sequence[wire.Picture], most_pixels: int
) -> list[wire.Outcome]:
    """Return what each picture shows, all of them read at once, or why it could not be read."""
    prepared = [_prepared(session, picture, most_pixels) for picture in pictures]
    images = [image for image in prepared if not isinstance(image, wire.Refusal)]
    found = iter(session.probabilities(np.stack(images)).tolist() if images else [])
    return [image if isinstance(image, wire.Refusal) else tuple(next(found)) for image in prepared]


def _prepared(
    session: OnnxSession, picture: wire.Picture, most_pixels: int
) -> npt.NDArray[np.uint8] | wire.Refusal:
    try:
        if picture.kind == "file":
            return session.prepare(picture.content, max_pixels=most_pixels)
        if session.shape != MNIST_SHAPE:
            return wire.Refusal("pixels", PIXELS.format("×".join(map(str, session.shape))))
        return session.prepare(np.frombuffer(picture.content, dtype=np.uint8).reshape(28, 28))
    except PictureError as error:
        return wire.Refusal(error.kind, str(error))
    except MemoryError:
        return wire.Refusal("too-large", "The picture does not fit into memory. Scale it down.")
    except Exception:  # one picture's mistake of ours must not spoil what others are waiting for
        log("failure", level="error", traceback=traceback.format_exc())
        return wire.Refusal("unprepared", UNPREPARED)


def _received(stream: BinaryIO) -> bytes | None:
    head = stream.read(wire.LENGTH.size)
    if len(head) < wire.LENGTH.size:
        return None
    (length,) = wire.LENGTH.unpack(head)
    content = stream.read(length)
    return content if len(content) == length else None


def _send(stream: BinaryIO, frame: bytes) -> None:
    stream.write(frame)
    stream.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
