"""Fitting a network: the loop, optimizers, schedules, checkpoints and progress."""
