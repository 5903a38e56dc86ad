"""Generated C called from Python."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from networks import example, pictures

from kilonet.errors import KilonetError
from kilonet.exports.c.emit import emit
from kilonet.exports.c.run import CompiledNetwork
from kilonet.machine import find_compiler

pytestmark = pytest.mark.compiler


def test_logits_match_the_reference() -> None:
    found = example("simple-8k")
    images = pictures(5)
    with CompiledNetwork(emit(found.graph, "net"), str(find_compiler()), 10, None) as network:
        np.testing.assert_allclose(network.logits(images), found.logits(images), atol=1e-3)


def test_error_contains_the_compiler_message() -> None:
    made = replace(emit(example("quick").graph, "net"), source="#error no such thing\n")
    with pytest.raises(KilonetError, match=r"could not compile net.c: .*no such thing"):
        CompiledNetwork(made, str(find_compiler()), 10, None)
