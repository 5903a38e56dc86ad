"""The machine: cores, child processes, the C compiler, and how OpenMP threads wait.

Does not import PyTorch.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from kilonet.errors import KilonetError

COMPILERS = ("cc", "gcc", "clang")
VERSION_SECONDS = 10.0
COMPILER_SECONDS = 120.0  # after which it counts as hanging; the kernels take about 10


class CompilerHangsError(KilonetError):
    """The C compiler does not end."""


def physical_cores() -> int:
    """Return the number of physical cores that this process may use.

    On Linux, two hyper-threads count as one core, and the limit of a control group (``cpu.max``)
    is respected. Elsewhere every logical processor counts as a core.
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
    """Return the numbers of the logical processors that this process may run on."""
    try:
        return os.sched_getaffinity(0)
    except AttributeError:  # known on Linux only
        return set(range(os.cpu_count() or 1))


def python_module(module: str, *arguments: str) -> tuple[list[str], dict[str, str]]:
    """Return the command and the environment of a child process that runs a Python module.

    It finds modules where this process does, but not in the current directory: a file there, such
    as numpy.py, must not run in place of the library.
    """
    here = Path.cwd()
    folders = [entry for entry in sys.path if entry and Path(entry).absolute() != here]
    if Path(__file__).parents[1] == here:  # the package is developed here
        folders.append(str(here))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(folders)}
    return [sys.executable, "-P", "-m", module, *arguments], environment


def find_compiler() -> str | None:
    """Return the path of a C compiler, or None if there is none."""
    return next((path for name in COMPILERS if (path := shutil.which(name))), None)


def compiler_version(compiler: str) -> bytes:
    """Return what ``compiler`` prints about its version; nothing if it cannot be run."""
    try:
        return _run([compiler, "--version"], VERSION_SECONDS).stdout
    except (OSError, subprocess.TimeoutExpired):
        return b""


def compile_library(compiler: str, flags: Sequence[str], source: Path, library: Path) -> None:
    """Compile ``source``, a C file, into the shared library ``library``.

    The compiler's temporary files are written beside ``library``.
    """
    command = [compiler, *flags, "-shared", "-fPIC", str(source), "-o", str(library), "-lm"]
    place = {**os.environ, "TMPDIR": str(library.parent)}
    try:
        result = _run(command, COMPILER_SECONDS, env=place)
    except OSError as error:
        raise KilonetError(f"{compiler} cannot be run: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise CompilerHangsError(f"{compiler} has not finished after {error.timeout:g} s") from None
    if result.returncode:
        message = result.stderr.decode("utf-8", errors="replace")
        first = (message.splitlines() or ["no message"])[0]
        raise KilonetError(f"{compiler} could not compile {source.name}: {first}")
    if not library.is_file() or not library.stat().st_size:
        raise KilonetError(f"{compiler} reports success, but writes no library")


def _run(
    command: Sequence[str], seconds: float, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run ``command``; end it, with the processes that it started, if it takes longer.

    Raises:
        OSError: it cannot be run.
        subprocess.TimeoutExpired: it took longer.
    """
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=env,
        start_new_session=True,
    ) as process:
        try:
            out, err = process.communicate(timeout=seconds)
        except BaseException:
            _kill_group(process)
            raise
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()


def limit_openmp_spinning() -> None:
    """Make OpenMP threads that wait at a barrier yield their core early.

    A value of ``GOMP_SPINCOUNT`` that the user has set stays.

    GNU OpenMP spins 300,000 times by default (``GOMP_SPINCOUNT`` in its manual), several
    milliseconds. On a busy machine a spinning thread can occupy the core that the awaited thread
    needs, and a step takes many times longer than on one thread. Without spinning, each of the
    hundreds of barriers of a step must wake its threads again, which is slow as well. A tenth of a
    millisecond is a good compromise. Call this before PyTorch is loaded: it has no effect once
    libgomp is loaded, nor on other OpenMP libraries.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
