"""How good a network is: predictions, metrics, intervals, and the comparison of two networks."""
