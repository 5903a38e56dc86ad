"""What happens to digits between the pen and the network: distortions by kind and strength."""

from kilonet.evaluation.distortions.grid import KINDS, SEED, Kind, distort

__all__ = ["KINDS", "SEED", "Kind", "distort"]
