"""The comparison with PyTorch: what it counts, and that it notices."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from networks import MEAN, STD, example, pictures

from kilonet.exports.graph.interpret import Pixels, interpret
from kilonet.exports.verify import alternating, verify


class Reference:
    """The NumPy reference, with an error of one's choice in the first picture."""

    def __init__(self, error: float = 0.0) -> None:
        self.error = error

    def logits(self, images: Pixels) -> npt.NDArray[np.float32]:
        logits = interpret(example("quick").graph, images)["logits"].copy()
        logits[0, (logits[0].argmax() + 1) % 10] += self.error
        return logits

    def one(self, image: Pixels) -> None:
        self.logits(image)


def test_counts() -> None:
    images = torch.from_numpy(pictures(9))
    model = example("quick").model
    truth = torch.from_numpy(example("quick").logits(images.numpy())).argmax(1)
    truth[1] = (truth[1] + 1) % 10
    found = verify(Reference(), model, images, truth, MEAN, STD)
    assert (found.images, found.same_labels) == (9, 9)
    assert found.largest_logit_difference < 1e-4
    assert found.accuracy == found.pytorch_accuracy == 8 / 9
    assert found.milliseconds > 0 < found.pytorch_milliseconds
    worse = verify(Reference(100), model, images, truth, MEAN, STD)
    assert (worse.same_labels, worse.accuracy) == (8, 7 / 9)
    assert 99 < worse.largest_logit_difference < 101


def test_a_clock_of_its_own_counts() -> None:
    def slow() -> float:
        return 7.0

    assert alternating(slow, lambda: None)[0] == 7.0


def test_alternating_leaves_the_threads_alone() -> None:
    before, seen = torch.get_num_threads(), []
    seconds = alternating(lambda: seen.append(torch.get_num_threads()), lambda: None)
    assert set(seen) == {1}
    assert torch.get_num_threads() == before
    assert len(seconds) == 2
    assert min(seconds) >= 0
