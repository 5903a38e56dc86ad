"""A network in 8-bit integers: calibrated, quantised, and run as a reference for the targets."""
