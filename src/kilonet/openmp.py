"""How PyTorch's CPU threads wait for each other; decided before PyTorch is loaded."""

from __future__ import annotations

import os


def share_the_machine() -> None:
    """Let a thread that waits at a barrier give up its core soon, unless the user decided.

    GNU OpenMP spins 300,000 times by default (GOMP_SPINCOUNT in its manual), several milliseconds.
    On a machine that has other work, the thread waited for may not be running, and the one that
    spins keeps it from running: steps then take many times longer than on one thread. A thread
    that gives up at once has to be woken for each of a step's hundreds of barriers, which takes
    longer than most of them last; a tenth of a millisecond or so is enough to avoid most of that.
    It has no effect once libgomp is loaded, nor on other OpenMPs.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
