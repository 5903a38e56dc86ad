"""Workers of a Ray cluster: each run is a task, and its directory comes home as bytes.

A task knows nothing of this machine's disk: it trains in a folder of its own, packs that up, and
the coordinator unpacks it beside the others, whole or not at all. A run whose worker or machine is
lost is given out again by the coordinator, as everywhere; Ray itself repeats nothing.
"""

from __future__ import annotations

import io
import os
import shutil
import socket
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeAlias

from kilonet import __version__
from kilonet.errors import StudyError, UsageError
from kilonet.studies.places import Done, Event, Failed, Lost
from kilonet.studies.plan import Job

SECONDS_TO_ANSWER = 10.0
ADDRESS_VARIABLE = "RAY_ADDRESS"

_SETTINGS = b"\x04"
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0" + _SETTINGS + b"\0\0\0\0\0"

Task: TypeAlias = Callable[[dict[str, Any]], dict[str, Any]]
"""What is done on a worker: from what to make to ``packed`` bytes, or what to say of a failure."""


class RayWorkers:
    """The workers of the cluster at ``address``, which do ``task``; runs come home to ``runs``.

    ``prepare`` is what a worker may do before its first task.

    Raises:
        UsageError: ``address`` is none.
        StudyError: no cluster answers there, or it is of another version.
    """

    def __init__(
        self,
        address: str,
        runs: Path,
        task: Task,
        prepare: Callable[[], None],
        *,
        cpus: int,
        gpus: float,
    ) -> None:
        where = located(address)
        import ray

        self._ray: Any = ray
        self._runs = runs
        _connect(ray, where)
        options = {"num_cpus": cpus, "num_gpus": gpus, "max_retries": 0}
        self._task = ray.remote(task).options(**options)
        self._prepare = ray.remote(prepare).options(**options)
        self._needs = {"CPU": cpus, "GPU": gpus}
        self._at_work: dict[Any, str] = {}
        self._preparing: list[Any] = []

    @property
    def size(self) -> int:
        """How many runs the cluster has room for now: machines may come and go."""
        room: dict[str, float] = self._ray.cluster_resources()
        fits = [int(room.get(what, 0) // need) for what, need in self._needs.items() if need]
        return max(1, min(fits))

    def warm_up(self, workers: int) -> None:
        """Have as many ``workers`` prepare themselves, while this process goes on."""
        self._preparing = [self._prepare.remote() for _ in range(min(workers, self.size))]

    def begin(self, job: Job) -> None:
        """Give ``job`` to the cluster."""
        self._at_work[self._task.remote({"job": asdict(job), "kilonet": __version__})] = job.name

    def answer(self, job: str, go_on: bool) -> None:
        """Runs on a cluster do not ask."""

    def wait(self, seconds: float) -> Sequence[Event]:
        """Return what has become of tasks; the runs that came home are in their folder."""
        tasks = [*self._at_work]
        ready, _ = self._ray.wait(tasks, num_returns=1, timeout=seconds) if tasks else ([], [])
        return [self._event(task, self._at_work.pop(task)) for task in ready]

    def close(self) -> None:
        """Leave the cluster, which ends what is still in progress there."""
        self._ray.shutdown()

    def _event(self, task: Any, job: str) -> Event:
        try:
            outcome = self._ray.get(task)
        except self._ray.exceptions.RayTaskError as error:
            return Failed(job, f"{error.cause or error}".splitlines()[-1], fatal=True)
        except self._ray.exceptions.RayError as error:
            return Lost(job, type(error).__name__)
        if "message" in outcome:
            return Failed(job, outcome["message"], outcome["fatal"])
        unpack(outcome["packed"], self._runs / job)
        return Done(job)


def pack(folder: Path) -> bytes:
    """Return the files of ``folder`` as one archive."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for path in sorted(folder.iterdir()):
            archive.add(path, path.name)
    return content.getvalue()


def unpack(content: bytes, folder: Path) -> None:
    """Make ``folder`` of an archive, in one step; what was there before was not finished.

    Nothing outside ``folder`` is written, whatever the archive says.
    """
    scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".part", dir=folder.parent))
    try:
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            archive.extractall(scratch, filter="data")
        scratch.chmod(0o755)
        shutil.rmtree(folder, ignore_errors=True)
        scratch.replace(folder)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise


def _connect(ray: Any, where: str) -> None:
    quiet = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": False}
    try:
        ray.init(address=where, namespace="kilonet", include_dashboard=None, **quiet)
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        reason = str(error).strip().splitlines()[0].rstrip(".")
        raise StudyError(f"The Ray cluster at {where} cannot be joined: {reason}.") from None


def located(address: str) -> str:
    """Return HOST:PORT for ``address``, where something answers as Ray does.

    Ray itself would wait for most of a minute for what does not.

    Raises:
        UsageError: ``address`` is none.
        StudyError: nothing answers there.
    """
    where = _host_and_port(address)
    _require_answer(where)
    return where


def _host_and_port(address: str) -> str:
    if address == "auto":
        found = os.environ.get(ADDRESS_VARIABLE) or _running_here()
        if not found:
            raise StudyError(
                "No Ray cluster runs here. Start one (ray start --head), name one "
                "(--address HOST:PORT), or leave out --on ray."
            )
        return _host_and_port(found)
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isdigit() or not 0 < int(port) < 2**16:
        raise UsageError(
            f'"{address}" is not an address of a Ray cluster; write HOST:PORT, for example '
            "127.0.0.1:6379, or auto."
        )
    return address


def _running_here() -> str | None:
    """Return the address of a cluster that runs on this machine."""
    import ray

    running: set[str] = ray._private.services.find_gcs_addresses()  # type: ignore[no-untyped-call]
    return next(iter(sorted(running)), None)


def _require_answer(address: str) -> None:
    host, _, port = address.rpartition(":")
    with (
        suppress(OSError),
        socket.create_connection((host.strip("[]"), int(port)), SECONDS_TO_ANSWER) as connection,
    ):
        # Ray speaks gRPC, which is HTTP/2: both sides begin with a frame of settings (RFC 9113,
        # 3.4).
        connection.settimeout(SECONDS_TO_ANSWER)
        connection.sendall(_PREFACE)
        if connection.recv(9)[3:4] == _SETTINGS:
            return
    raise StudyError(
        f"No Ray cluster answers at {address}. Start it (ray start --head --port {port}), check "
        "the address, or leave out --on ray."
    )
