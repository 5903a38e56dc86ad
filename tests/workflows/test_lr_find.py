"""The range test's reading of a curve, and that it looks at training images alone."""

from __future__ import annotations

import numpy as np
import pytest

from kilonet.errors import TrainingError
from kilonet.workflows.lr_find import _conclude


def test_where_the_loss_falls_fastest_and_where_it_is_lowest() -> None:
    """A loss that is a smooth step down centred on 10^-2, then a rise."""
    decades = np.linspace(-5, 0, 201)
    losses = 2 - 1.5 / (1 + np.exp(-6 * (decades + 2))) + np.where(decades > -1, decades + 1, 0)
    found = _conclude((10**decades).tolist(), losses.tolist())
    assert np.log10(found.suggestion) == pytest.approx(-2, abs=0.1)
    assert np.log10(found.lowest) == pytest.approx(-1, abs=0.2)


def test_too_few_steps_to_say_anything() -> None:
    with pytest.raises(TrainingError, match="Start from a lower learning rate"):
        _conclude([0.1] * 9, [1.0] * 9)
