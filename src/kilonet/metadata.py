"""The metadata of an ONNX file: class names, and how pictures are prepared for the network."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

CLASSES, PREPARATION = "classes", "preparation"
INK, FIT = "ink", "fit"
MNIST_SHAPE = (1, 28, 28)
MAX_NAME = 1000  # characters of a class name


def pack_classes(names: Sequence[str]) -> str:
    """Return class names as one text, separated by commas; as a JSON list if a name has a comma."""
    plain = not any("," in name or name.startswith("[") for name in names)
    return ",".join(names) if plain else json.dumps(list(names), ensure_ascii=False)


def classes_of(metadata: Mapping[str, str], count: int) -> tuple[str, ...]:
    """Return the names of ``count`` classes, or numbers if the file has no such names."""
    text = metadata.get(CLASSES, "")
    names = text.split(",")
    if text.startswith("["):
        try:
            names = json.loads(text)
        except (ValueError, RecursionError):
            names = []
    known = len(names) == count == len(set(map(str, names))) and all(map(_is_class_name, names))
    return tuple(names) if known else tuple(map(str, range(count)))


def _is_class_name(name: object) -> bool:
    return isinstance(name, str) and 0 < len(name) <= MAX_NAME


def preparation_of(metadata: Mapping[str, str], shape: Sequence[int]) -> str:
    """Return ``INK`` if a digit is cut out and centred like MNIST's, ``FIT`` for whole pictures.

    ``shape`` is (C, H, W). ``INK`` needs the shape of MNIST images, and is the default for it.
    """
    if tuple(shape) != MNIST_SHAPE:
        return FIT
    return FIT if metadata.get(PREPARATION) == FIT else INK
