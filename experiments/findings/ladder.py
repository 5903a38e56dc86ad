"""The ladder that learning rates are searched on: … 0.001, 0.003, 0.01, 0.03 …"""

from __future__ import annotations

RUNGS = (1, 3)  # of every decade


def neighbour(rate: float, by: int) -> float:
    """Return the rate ``by`` rungs above ``rate``, which is one: 0.003 is above 0.001."""
    digit, exponent = f"{rate:e}".split("e")
    place = RUNGS.index(round(float(digit))) + len(RUNGS) * int(exponent) + by
    return float(f"{RUNGS[place % len(RUNGS)]}e{place // len(RUNGS)}")
