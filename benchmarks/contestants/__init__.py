"""The loops that are timed, each run in a process of its own by ``host``."""
