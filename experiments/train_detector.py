"""Train the network that tells digits from other figures, and put it into the package.

    python experiments/train_detector.py [--epochs 16] [--workers 2]

It learns eleven classes, the digits and "none", from prepared pictures: MNIST's training images
without those that ``stratified_split(labels, 1/12, 0)`` holds out, as they are and redrawn as
pictures of all kinds; rare shapes of digits; letters, symbols, lines, two joined characters, empty
paper. The bias of "none" is then set so that 0.4 % of held-out pictures of digits have a
probability of "none" above one half. The pictures of ``pictures.non_digits`` are not used.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import ndimage

from kilonet import Classifier
from kilonet.data.dataset import load_dataset
from kilonet.data.split import stratified_split
from kilonet.exports.onnx import export_onnx
from kilonet.inference.model import DETECTOR, DIGITS
from kilonet.metadata import pack_classes
from kilonet.preprocessing import PictureError
from kilonet.preprocessing.prepare import prepare_picture
from pictures.characters import (
    FIGURES,
    RARE_DIGITS,
    character,
    drawn,
    figure,
    random_strokes,
    variants,
    wandering_line,
)
from pictures.kinds import (
    HARDER,
    KINDS,
    Bytes,
    Floats,
    Random,
    lit,
    on_plain_background,
    photographed,
    placed,
    through_jpeg,
    to_bytes,
)
from pictures.non_digits import PAGES
from pictures.sheets import SHEETS
from pictures.strokes import TEMPLATES, enlarged, shape_of_image, trimmed

NONE = len(DIGITS)
ALL_KINDS = {**KINDS, **HARDER, **SHEETS}
PART = 1000  # pictures that are made in one go
PARTS = {"none": 15, "digits": 12, "held out": 2}
REFUSED = 0.004  # of the held-out pictures of digits
LAYERS = "c24k5s2 c48 M c64 M3"
AUGMENTATION = {"rotation": 8, "translation": 0.05, "scale": 0.1, "shear": 8}
Sample = tuple[int, Bytes]


def non_digits(images: Bytes, count: int, rng: Random) -> Iterator[Bytes]:
    """Yield about ``count`` pictures without a single digit."""
    draw: list[tuple[float, Callable[[], Floats]]] = [
        (0.36, lambda: figure(rng)[1]),
        (0.30, lambda: character(rng)),
        (0.13, lambda: random_strokes(rng)),
        (0.08, lambda: wandering_line(rng)),
        (0.13, lambda: _joined(images, rng)),
    ]
    shares, functions = zip(*draw, strict=True)
    for number in range(count):
        ink = functions[rng.choice(len(functions), p=shares)]()
        if ink.max() > 0.5:
            yield _on_any_paper(ink, rng)
        if number % 3 == 0:
            yield _empty_paper(rng)


def _joined(images: Bytes, rng: Random) -> Floats:
    """Return the ink of two digits or letters side by side, half of them joined by a line."""
    first, second = (_small(images, rng) for _ in range(2))
    height = max(len(first), len(second))
    left = max(0, first.shape[1] - int(rng.integers(0, 6)))
    row = np.zeros((height, left + second.shape[1] + first.shape[1]))
    row[-len(first) :, : first.shape[1]] = first
    part = row[-len(second) :, left : left + second.shape[1]]
    np.maximum(part, second, out=part)
    row = trimmed(row, 0.02)
    if rng.random() < 0.5:
        row[height // 2 - 1 : height // 2 + 1] = 1
    return np.pad(row, 4)


def _small(images: Bytes, rng: Random) -> Floats:
    choice = rng.random()
    if choice < 0.5:
        return trimmed(enlarged(images[rng.integers(len(images))], 44), 0.02)
    table = variants(FIGURES if choice < 0.75 else RARE_DIGITS)
    return trimmed(drawn(table[rng.integers(len(table))][1], rng, side=44), 0.02)


def _on_any_paper(ink: Floats, rng: Random) -> Bytes:
    sheet = placed(ink, max(int(rng.integers(80, 150)), *ink.shape), rng)
    choice = rng.random()
    if choice < 0.75:
        return on_plain_background(sheet, rng)
    kinds = [photographed, *HARDER.values()]
    return kinds[0 if choice < 0.85 else int(rng.integers(1, len(kinds)))](sheet, rng)


def _empty_paper(rng: Random) -> Bytes:
    side = int(rng.integers(60, 300))
    empty = np.zeros((side, side))
    kinds = [kind for group in PAGES.values() for kind in group]
    kinds += [photographed, _angular_shadow, _angular_shadow]
    return kinds[rng.integers(len(kinds))](empty, rng)


def _angular_shadow(empty: Floats, rng: Random) -> Bytes:
    """Return empty paper with a shadow that has straight edges and corners."""
    side = len(empty)
    y, x = np.mgrid[:side, :side] / side - rng.uniform(0.1, 0.9, (2, 1, 1))
    shade = np.ones((side, side))
    for angle in np.sort(rng.uniform(0, 2 * math.pi, rng.integers(3, 7))):
        away = math.cos(angle) * x + math.sin(angle) * y - rng.uniform(0.1, 0.7)
        shade = np.minimum(shade, away < 0)
    shade = ndimage.gaussian_filter(shade, rng.uniform(0.3, 3))
    grey = lit(empty.shape, rng) * (1 - rng.uniform(0.15, 0.6) * shade)
    grey += rng.normal(0, rng.uniform(0.5, 4), empty.shape)
    return through_jpeg(to_bytes(grey), rng, (60, 96))


def digits(images: Bytes, labels: Any, count: int, rng: Random) -> Iterator[Sample]:
    """Yield ``count`` labels and pictures of single digits, of all kinds."""
    names = list(ALL_KINDS)
    for _ in range(count):
        label, ink = _digit(images, labels, rng)
        name = names[rng.integers(len(names))]
        askew = name.endswith("askew") and rng.random() < 0.6  # these take longest
        plain = askew or rng.random() < 0.3
        side = int(max(ink.shape) * rng.uniform(1.15, 2.2))
        yield label, ALL_KINDS["plain" if plain else name](placed(ink, side, rng), rng)


def _digit(images: Bytes, labels: Any, rng: Random) -> tuple[int, Floats]:
    index, length, choice = int(rng.integers(len(images))), int(rng.integers(28, 110)), rng.random()
    label, width = int(labels[index]), length * math.exp(rng.uniform(*map(math.log, (0.03, 0.2))))
    if choice < 0.35:
        return label, trimmed(enlarged(images[index], length), 0.01)
    if choice < 0.6:
        ink = shape_of_image(images[index]).ink(round(length - width), max(1, width))
        return label, trimmed(ink, 0.01)
    table = variants(RARE_DIGITS if choice < 0.8 else TEMPLATES)
    name, strokes = table[rng.integers(len(table))]
    return int(name), trimmed(drawn(strokes, rng, 0.022, length), 0.01)


def prepared(samples: Iterator[Sample]) -> tuple[Bytes, Any]:
    """Return the prepared images, uint8 (N, 28, 28), and the labels of pictures."""
    images, labels = [], []
    for label, picture in samples:
        try:
            found = prepare_picture(picture, several=True).digits[0].image
        except PictureError:
            continue
        images.append(found)
        labels.append(label)
    return np.array(images), np.array(labels)


def calibrate(classifier: Classifier, images: Bytes) -> None:
    """Set the bias of "none" so that ``REFUSED`` of ``images`` of digits have it above one half."""
    none = classifier.predict_proba(images)[:, NONE]
    threshold = float(np.quantile(none, 1 - REFUSED))
    head = [part for part in classifier.network_.modules() if isinstance(part, torch.nn.Linear)][-1]
    with torch.no_grad():
        head.bias[NONE] -= math.log(threshold / (1 - threshold))


def make_part(task: tuple[str, int]) -> tuple[Bytes, Any]:
    """Return ``PART`` prepared images and their labels; the task is their kind and a seed."""
    kind, seed = task
    rng, (images, labels, held_images, held_labels) = np.random.default_rng([seed, 6]), mnist()
    if kind == "none":
        return prepared((NONE, one) for one in non_digits(images, PART, rng))
    if kind == "digits":
        return prepared(digits(images, labels, PART, rng))
    return prepared(digits(held_images, held_labels, PART, rng))


@cache
def mnist() -> tuple[Bytes, Any, Bytes, Any]:
    """Return the images to learn from with their labels, and those held out."""
    dataset = load_dataset("mnist")
    kept, held_out = stratified_split(dataset.train_labels, 1 / 12, 0)
    images, labels = dataset.train_images[:, 0].numpy(), dataset.train_labels.numpy()
    return images[kept], labels[kept], images[held_out], labels[held_out]


def train(images: Bytes, labels: Any, epochs: int) -> Classifier:
    """Return the trained network with eleven classes."""
    overrides = [
        f"model.layers={LAYERS}",
        "training.ema=0.999",
        "constraints.max_parameters=off",
        *(f"augmentation.{key}={value}" for key, value in AUGMENTATION.items()),
    ]
    classifier = Classifier("fast-99", epochs=epochs, threads=1, verbose=True, overrides=overrides)
    return classifier.fit(images, labels)


def main() -> None:
    """Make the pictures, train, calibrate, and write the network."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--workers", type=int, default=2, help="processes that make pictures")
    parser.add_argument("--out", type=Path, default=DETECTOR)
    given = parser.parse_args()
    tasks = [(kind, seed) for kind, count in PARTS.items() for seed in range(count)]
    with ProcessPoolExecutor(given.workers) as pool:
        parts = dict(zip(tasks, pool.map(make_part, tasks), strict=True))
    images, labels, held_images, _ = mnist()
    made = [part for (kind, _), part in parts.items() if kind != "held out"]
    made.append((images[::4], labels[::4]))
    classifier = train(
        *(np.concatenate(column) for column in zip(*made, strict=True)), given.epochs
    )
    held = [part[0] for (kind, _), part in parts.items() if kind == "held out"]
    calibrate(classifier, np.concatenate([*held, held_images]))
    trained = classifier.pretrained_
    metadata = {"classes": pack_classes((*DIGITS, "none")), "preparation": "ink"}
    shape = trained.input_shape
    export_onnx(trained.network, given.out, shape, trained.mean, trained.std, metadata)


if __name__ == "__main__":
    main()
