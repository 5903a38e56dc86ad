"""Pictures: their size, that they show what they are given, and that equal input is equal bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from kilonet.evaluation.distortions import DISTORTIONS
from kilonet.evaluation.robustness import Estimate, Robustness, RobustnessCell
from kilonet.report import image_grids, run_plots, style

CLASSES = ("zero", "one", "two")


def history(*accuracies: float, **more: float) -> list[dict[str, Any]]:
    return [
        {
            "epoch": epoch,
            "train_loss": 2 * (1.01 - accuracy),
            "train_accuracy": accuracy,
            "validation_loss": 1.9 * (1.01 - accuracy),
            "validation_accuracy": accuracy,
            **more,
        }
        for epoch, accuracy in enumerate(accuracies, start=1)
    ]


def batch(n: int = 12, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    p = rng.dirichlet([1, 1, 1], size=n)
    return rng.integers(0, 256, (n, 28, 28), dtype=np.uint8), rng.integers(0, 3, n), p


def draw_mistakes(path: Path, seed: int = 0, shape: tuple[int, ...] = (28, 28)) -> None:
    images, labels, p = batch(seed=seed)
    images = np.broadcast_to(images.reshape(12, *(1,) * (len(shape) - 2), 28, 28), (12, *shape))
    image_grids.mistakes(images, labels, p, CLASSES, path)


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert image.info["dpi"] == pytest.approx((150, 150), abs=0.1)
        return np.asarray(image.convert("RGB"))


def measured(right: int = 80) -> Robustness:
    """Return a measurement of 100 images: fewer and fewer of them right alone."""
    cells = tuple(
        RobustnessCell(kind.name, strength, right - 5 * place, 97, 1)
        for kind in DISTORTIONS
        for place, strength in enumerate(kind.strengths)
    )
    return Robustness(
        100, RobustnessCell(None, 0, 99, 98, 0), cells, Estimate(0.7, 0.02), Estimate(0.9, 0.01)
    )


Draw = Callable[[Path], None]
PLOTS: dict[str, tuple[Draw, Draw, tuple[int, int]]] = {
    "training_metrics": (
        lambda path: run_plots.training_metrics(history(0.95, 0.98), path),
        lambda path: run_plots.training_metrics(history(0.95, 0.99), path),
        (1440, 645),
    ),
    "confusion_matrix": (
        lambda path: run_plots.confusion_matrix([[5, 1, 0], [0, 6, 0], [2, 0, 9]], CLASSES, path),
        lambda path: run_plots.confusion_matrix([[5, 2, 0], [0, 6, 0], [2, 0, 9]], CLASSES, path),
        (597, 537),
    ),
    "mistakes": (draw_mistakes, lambda path: draw_mistakes(path, seed=1), (1386, 529)),
    "sample_grid": (
        lambda path: image_grids.sample_grid(*batch()[:2], CLASSES, path),
        lambda path: image_grids.sample_grid(*batch(seed=1)[:2], CLASSES, path),
        (1722, 447),
    ),
    "robustness": (
        lambda path: run_plots.robustness(measured(), path),
        lambda path: run_plots.robustness(measured(60), path),
        (1560, 855),
    ),
}


@pytest.mark.parametrize("name", PLOTS)
def test_pictures_have_their_size_and_show_their_input(name: str, tmp_path: Path) -> None:
    draw, draw_other, size = PLOTS[name]
    draw(tmp_path / "a.png")
    draw_other(tmp_path / "b.png")
    a, b = pixels(tmp_path / "a.png"), pixels(tmp_path / "b.png")
    assert (a.shape[1], a.shape[0]) == pytest.approx(size, abs=2)
    assert a.shape != b.shape or (a != b).any()
    assert a.std() > 5, "an empty picture"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "b.png"]


@pytest.mark.parametrize("name", PLOTS)
def test_equal_input_is_equal_bytes_under_any_settings_of_the_user(
    name: str, tmp_path: Path
) -> None:
    PLOTS[name][0](tmp_path / "a.png")
    with mpl.rc_context({"font.weight": "bold", "axes.linewidth": 9, "savefig.dpi": 40}):
        before = dict(mpl.rcParams)
        PLOTS[name][0](tmp_path / "b.png")
        assert dict(mpl.rcParams) == before
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize(
    "rows",
    [
        history(0.9943),
        history(0.1, 0.1),
        history(0.98, 1.0, 1.0),
        history(1.0),
        history(0.0),
        history(*np.linspace(0.9, 0.995, 60)),
        history(0.97, 0.98, test_accuracy=0.975),
        [{"epoch": 1, "train_loss": 0.1, "train_accuracy": 0.97}],
        [{**row, "validation_loss": 0.0} for row in history(0.97, 0.98)],
    ],
    ids=["one", "chance", "perfect", "one-perfect", "none-right", "many", "test", "no-validation",
         "no-loss"],
)  # fmt: skip
def test_curves_of_every_kind_of_history(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    run_plots.training_metrics(rows, tmp_path / "a.png", targets=(0.994, 1.0))
    assert pixels(tmp_path / "a.png").std() > 5


def test_curves_show_targets_best_epoch_and_recorded_test_accuracy(tmp_path: Path) -> None:
    rows = history(0.97, 0.98, 0.985)
    pictures = []
    for number, (more, options) in enumerate(
        [
            ({}, {}),
            ({}, {"best_epoch": 1}),
            ({}, {"targets": (0.9843,)}),
            ({"test_accuracy": 0.98}, {}),
        ]
    ):
        path = tmp_path / f"{number}.png"
        run_plots.training_metrics([{**row, **more} for row in rows], path, **options)
        pictures.append(path.read_bytes())
    assert len(set(pictures)) == 4


def test_the_best_epoch_is_the_first_of_the_highest_accuracy(tmp_path: Path) -> None:
    rows = history(0.97, 0.99, 0.99, 0.98)
    run_plots.training_metrics(rows, tmp_path / "a.png")
    run_plots.training_metrics(rows, tmp_path / "b.png", best_epoch=2)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize(("low", "high"), [(0.005, 0.009), (0.0004, 0.9), (0.02, 0.3), (1.0, 2.5)])
def test_ticks_are_few_round_and_in_view(low: float, high: float) -> None:
    ticks = style._ticks(low, high)
    assert 3 <= len(ticks) <= 9
    assert all(low <= tick <= high for tick in ticks)
    assert all(len(f"{tick:.2g}") >= len(f"{tick:g}") for tick in ticks)


def test_nothing_to_draw_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no epoch"):
        run_plots.training_metrics([], tmp_path / "a.png")
    images, labels, _ = batch()
    with pytest.raises(ValueError, match="as many images"):
        image_grids.sample_grid(images[:3], labels, CLASSES, tmp_path / "a.png")
    with pytest.raises(ValueError, match="as many images"):
        image_grids.sample_grid(images, labels, CLASSES, tmp_path / "a.png", augmented=images[:3])
    with pytest.raises(ValueError, match="at least one"):
        image_grids.sample_grid(images[:0], labels[:0], CLASSES, tmp_path / "a.png")
    assert not list(tmp_path.iterdir())


def test_confusion_colours_mistakes_and_leaves_the_diagonal_grey(tmp_path: Path) -> None:
    def colourful(matrix: list[list[int]]) -> int:
        run_plots.confusion_matrix(matrix, ("0", "1"), tmp_path / "a.png")
        rgb = pixels(tmp_path / "a.png").astype(int)
        return int((rgb.max(-1) - rgb.min(-1) > 60).sum())

    assert colourful([[900, 0], [0, 800]]) == 0
    assert colourful([[900, 7], [0, 800]]) > 1_000


def test_a_class_name_is_text_and_not_a_formula(tmp_path: Path) -> None:
    names = ("$x", "$\\frac$", "<b>")
    images, labels, p = batch()
    run_plots.confusion_matrix(np.eye(3, dtype=int).tolist(), names, tmp_path / "a.png")
    image_grids.mistakes(images, labels, p, names, tmp_path / "b.png")
    image_grids.sample_grid(images, labels, names, tmp_path / "c.png")


def test_mistakes_come_the_most_confident_first() -> None:
    p = np.array([[0.6, 0.4], [0.1, 0.9], [0.2, 0.8], [0.1, 0.9], [0.3, 0.7]])
    assert image_grids.most_confident_mistakes(np.array([1, 0, 1, 0, 0]), p).tolist() == [
        1,
        3,
        4,
        0,
    ]
    assert image_grids.most_confident_mistakes(np.array([0, 1, 1, 1, 1]), p).size == 0


def test_a_flawless_model_gets_a_picture_that_says_so(tmp_path: Path) -> None:
    image_grids.mistakes(
        np.zeros((3, 28, 28), np.uint8), np.arange(3), np.eye(3), CLASSES, tmp_path / "a.png"
    )
    assert pixels(tmp_path / "a.png").std() > 2


def test_channels_may_be_there_or_not(tmp_path: Path) -> None:
    draw_mistakes(tmp_path / "flat.png")
    draw_mistakes(tmp_path / "one.png", shape=(1, 28, 28))
    draw_mistakes(tmp_path / "three.png", shape=(3, 28, 28))
    flat, one, three = (pixels(tmp_path / f"{n}.png") for n in ("flat", "one", "three"))
    assert (flat == one).all() and (one != three).any()


def test_ink_is_dark_on_light_paper(tmp_path: Path) -> None:
    images = np.zeros((1, 28, 28), np.uint8)
    images[0, 10:18, 10:18] = 255
    image_grids.sample_grid(images, np.array([0]), CLASSES, tmp_path / "a.png")
    rgb = pixels(tmp_path / "a.png")
    assert (rgb.max(-1) == 0).sum() == pytest.approx((8 * 5) ** 2, rel=0.1)


def test_augmented_pictures_stand_beneath(tmp_path: Path) -> None:
    images, labels, _ = batch(10)
    image_grids.sample_grid(images, labels, CLASSES, tmp_path / "a.png")
    image_grids.sample_grid(images, labels, CLASSES, tmp_path / "b.png", augmented=255 - images)
    a, b = pixels(tmp_path / "a.png"), pixels(tmp_path / "b.png")
    assert b.shape[0] - a.shape[0] == pytest.approx(140, abs=15)
    assert a.shape[1] == b.shape[1]


def test_robustness_shows_both_ways_to_read(tmp_path: Path) -> None:
    """Blue and vermilion: where both lines coincide, both are still seen."""
    found = measured()
    same = tuple(replace(cell, read=cell.alone) for cell in found.cells)
    alike = replace(found, cells=same, undistorted=replace(found.undistorted, read=99))
    run_plots.robustness(alike, tmp_path / "a.png")
    rgb = pixels(tmp_path / "a.png").astype(int)
    for colour in ((0, 114, 178), (213, 94, 0)):
        assert (np.abs(rgb - colour).max(axis=-1) < 12).sum() > 1000
