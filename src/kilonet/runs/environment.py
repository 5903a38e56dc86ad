"""The environment of a run: versions, hardware, and the commit of the code."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from kilonet import __version__

PACKAGES = ("torch", "numpy", "scikit-learn", "pillow")


def environment(device: str, threads: int) -> dict[str, str]:
    """Return versions, hardware, device, threads and commit as texts by name."""
    facts = {"kilonet": __version__, "commit": commit(), "python": platform.python_version()}
    facts |= {package: _version(package) for package in PACKAGES}
    facts |= {
        "platform": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
        "cores": str(os.cpu_count() or 0),
        "device": device,
        "threads": str(threads),
    }
    return facts


def commit() -> str:
    """Return the commit of the running code, with "-dirty" if changed; "" outside a checkout."""
    try:
        name = _git("describe", "--always", "--abbrev=12", "--exclude=*")
        # not "describe --dirty", which locks the index: a commit at that moment would fail
        changed = _git("--no-optional-locks", "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return ""
    return f"{name}-dirty" if changed else name


def _git(*words: str) -> str:
    here = Path(__file__).resolve().parent
    done = subprocess.run(
        ["git", *words], cwd=here, capture_output=True, text=True, check=True, timeout=5
    )
    return done.stdout.strip()


def processor() -> str:
    """Return the processor's name, as precise as the system reports it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
