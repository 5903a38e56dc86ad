"""How many cores this process may compute on; known without PyTorch."""

from __future__ import annotations

import os
from pathlib import Path


def physical_cores() -> int:
    """Return how many cores free to this process do not share their arithmetic with another.

    A container's share of the machine counts (the control group's ``cpu.max``), as does that two
    processors may be one core (Linux tells both; elsewhere every processor is a core).
    """
    topology = "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"
    try:
        cores = len({Path(topology.format(n)).read_text() for n in processors()})
    except OSError:
        cores = len(processors())
    try:
        quota, period = map(int, Path("/sys/fs/cgroup/cpu.max").read_text().split())
    except (OSError, ValueError):  # no control groups, or no limit: "max 100000"
        return cores
    return max(1, min(cores, quota // period))


def processors() -> set[int]:
    """Return the numbers of the processors that this process may run on."""
    try:
        return os.sched_getaffinity(0)
    except AttributeError:  # only Linux tells
        return set(range(os.cpu_count() or 1))
