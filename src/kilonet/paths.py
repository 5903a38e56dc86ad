"""Where things are on disk: the user's caches, the runs and the studies."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_cache_path

DATA_VARIABLE = "KILONET_DATA"
RUNS_VARIABLE = "KILONET_RUNS"
STUDIES_VARIABLE = "KILONET_STUDIES"


def data_cache() -> Path:
    """Return the directory that downloads go to (not created here)."""
    return user_cache_path("kilonet", appauthor=False) / "data"


def kernel_cache() -> Path:
    """Return the directory that compiled kernels are kept in (not created here)."""
    return user_cache_path("kilonet", appauthor=False) / "kernels"


def data_dir_from_environment() -> Path | None:
    """Return the directory named by ``KILONET_DATA``, or None where it is unset or empty."""
    value = os.environ.get(DATA_VARIABLE, "")
    return Path(value).expanduser() if value else None


def runs_dir() -> Path:
    """Return the directory that holds runs: ``KILONET_RUNS``, else ``runs`` where you stand."""
    return Path(os.environ.get(RUNS_VARIABLE) or "runs").expanduser()


def studies_dir() -> Path:
    """Return the directory that holds studies: ``KILONET_STUDIES``, else ``studies`` here."""
    return Path(os.environ.get(STUDIES_VARIABLE) or "studies").expanduser()
