"""A network in 8-bit integers: calibration, quantisation, and a reference interpreter."""
