"""What an ONNX file says of itself: its classes, and how pictures are prepared for it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

CLASSES, PREPARATION = "classes", "preparation"
INK, FIT = "ink", "fit"
MNIST_SHAPE = (1, 28, 28)


def pack_classes(names: Sequence[str]) -> str:
    """Return class names as one text: with commas between, as a JSON list where one has a comma."""
    plain = not any("," in name or name.startswith("[") for name in names)
    return ",".join(names) if plain else json.dumps(list(names), ensure_ascii=False)


def classes_of(metadata: Mapping[str, str], count: int) -> tuple[str, ...]:
    """Return the names of ``count`` classes; numbers where the file does not name as many."""
    text = metadata.get(CLASSES, "")
    names = text.split(",")
    if text.startswith("["):
        try:
            names = [str(name) for name in json.loads(text)]
        except ValueError:
            names = []
    known = len(names) == count and all(names)
    return tuple(names) if known else tuple(map(str, range(count)))


def preparation_of(metadata: Mapping[str, str], shape: Sequence[int]) -> str:
    """Return ``INK`` where pictures' ink is framed as MNIST's, ``FIT`` where they are scaled whole.

    A file that does not say is one of a digit set if its images have that shape, (C, H, W).
    """
    said = metadata.get(PREPARATION)
    if said in (INK, FIT):
        return said if tuple(shape) == MNIST_SHAPE else FIT
    return INK if tuple(shape) == MNIST_SHAPE else FIT
