"""The tables of the documentation, each from the files in ``results/``."""
