"""Robustness over the grid, with a simple classifier."""

from __future__ import annotations

import json

import numpy as np
import pytest
from digits_like import bar

from kilonet.errors import UsageError
from kilonet.evaluation.distortions import DISTORTIONS, Distortion, Images
from kilonet.evaluation.robustness import Labels, Robustness, RobustnessCell, measure_robustness
from kilonet.preprocessing import prepare


def digits(count: int = 12) -> Images:
    """Return prepared ones and rings in turn: classes 0 and 1."""
    y, x = np.mgrid[-1:1:60j, -1:1:60j]
    ring = np.where(np.abs(np.hypot(x, y) - 0.7) < 0.15, 255, 0).astype(np.uint8)
    return np.stack([prepare(ring), prepare(bar()[0])] * (count // 2))


def labels(count: int = 12) -> Labels:
    return np.arange(count) % 2


def by_centre(images: Images) -> Labels:
    """Call 1 what is bright in its middle."""
    return (images[:, 13:15, 13:15].mean(axis=(1, 2)) > 128).astype(np.int64)


def blank(images: Images, strength: float, rng: np.random.Generator) -> Images:
    """Leave nothing of the first ``strength`` images."""
    changed = images.copy()
    changed[: int(strength)] = 0
    return changed


def inverted(images: Images, strength: float, rng: np.random.Generator) -> Images:
    return 255 - images


BLANK, INVERTED = (
    Distortion("blank", "images", (3, 6), blank),
    Distortion("negative", "", (1,), inverted),
)


def test_both_accuracies_are_counted() -> None:
    found = measure_robustness(by_centre, digits(), labels(), distortions=(BLANK, INVERTED))
    assert found.undistorted == RobustnessCell(None, 0.0, 12, 12, 0)
    # An empty image has a dark middle: alone, it is called 0, which is right for every other one.
    assert found.of("blank") == [
        RobustnessCell("blank", 3, 11, 9, 3),
        RobustnessCell("blank", 6, 9, 6, 6),
    ]
    # What is inverted is bright all around, and in the middle of a ring; the preparation sees.
    assert found.of("negative") == [RobustnessCell("negative", 1, 0, 12, 0)]


def test_each_kind_has_the_same_weight() -> None:
    found = measure_robustness(by_centre, digits(), labels(), distortions=(BLANK, INVERTED))
    assert found.alone.mean == pytest.approx(((11 + 9) / 24 + 0) / 2)
    assert found.read.mean == pytest.approx(((9 + 6) / 24 + 1) / 2)


def test_the_interval_is_of_the_means_per_image() -> None:
    found = measure_robustness(by_centre, digits(), labels(), distortions=(BLANK,))
    scores = np.array([0.0] * 3 + [0.5] * 3 + [1.0] * 6)
    half = 2.201 * scores.std(ddof=1) / np.sqrt(12)  # Student's t, eleven degrees of freedom
    assert found.read.half_width == pytest.approx(half, rel=1e-3)
    whole = measure_robustness(by_centre, digits(), labels(), distortions=(INVERTED,))
    assert whole.read.half_width == 0


def test_a_classifier_never_sees_an_empty_batch() -> None:
    sizes: list[int] = []

    def counting(images: Images) -> Labels:
        sizes.append(len(images))
        return by_centre(images)

    all_blank = Distortion("blank", "", (12,), blank)
    found = measure_robustness(counting, digits(), labels(), distortions=(all_blank,))
    assert found.cells[0].refused == 12
    assert min(sizes) > 0


def test_the_whole_grid_is_the_default_and_reports_progress() -> None:
    seen: list[tuple[Distortion | None, float]] = []

    def progress(places: object) -> object:
        for place in places:  # type: ignore[attr-defined]
            seen.append(place)
            yield place

    found = measure_robustness(by_centre, digits(2), labels(2), progress=progress)  # type: ignore[arg-type]
    expected = [(kind.name, strength) for kind in DISTORTIONS for strength in kind.strengths]
    assert [(cell.kind, cell.strength) for cell in found.cells] == expected
    assert len(seen) == len(expected) + 1


def test_as_json() -> None:
    found = measure_robustness(by_centre, digits(), labels(), distortions=(BLANK,))
    content = json.loads(json.dumps(found.to_json()))
    assert content["undistorted"] == {
        "kind": None, "strength": 0.0, "alone": 12, "read": 12, "refused": 0,
    }  # fmt: skip
    assert [RobustnessCell(**cell) for cell in content["cells"]] == list(found.cells)
    assert content["alone"].keys() == {"mean", "half_width"}
    assert set(content) == set(Robustness.__dataclass_fields__)


@pytest.mark.parametrize("shape", [(0, 28, 28), (1, 28, 28), (5, 8, 8), (5, 1, 28, 28)])
def test_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="two or more grey images of 28×28 pixels"):
        measure_robustness(by_centre, np.zeros(shape, np.uint8), np.zeros(shape[0], np.int64))
