"""Make runs on a Ray cluster: each run is a task that returns its directory as an archive.

A task does not use the coordinator's disk: it trains in a temporary folder and returns the files,
which the coordinator unpacks in one step. The coordinator repeats a run whose worker or machine is
lost; Ray repeats nothing.
"""

from __future__ import annotations

import io
import os
import shutil
import socket
import tarfile
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kilonet import __version__
from kilonet.errors import KilonetError, StudyError, UsageError
from kilonet.files import temporary_folder
from kilonet.progress import Reporter
from kilonet.recipe.schema import Recipe
from kilonet.studies.coordinator import Event, RunFailed, RunFinished, RunLost
from kilonet.studies.plan import RunJob

CONNECT_SECONDS = 10.0
ADDRESS_VARIABLE = "RAY_ADDRESS"

_SETTINGS = b"\x04"
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0" + _SETTINGS + b"\0\0\0\0\0"


class RayExecutor:
    """Makes runs on the cluster at ``address`` and stores them in the folder ``runs``.

    Each run takes as many cores or GPUs as ``recipe`` needs. Each machine finds the data sets in
    its own KILONET_DATA or cache, or downloads them.

    Raises:
        UsageError: ``address`` has another form.
        StudyError: no cluster answers there, or it has another version.
    """

    def __init__(self, address: str, runs: Path, recipe: Recipe) -> None:
        host = find_cluster(address)
        import ray

        self._ray: Any = ray
        self._runs = runs
        _connect(ray, host)
        training = recipe.training
        cpus = training.threads or 1
        gpus = 1 if training.device.startswith("cuda") else 0
        options = {"num_cpus": cpus, "num_gpus": gpus, "max_retries": 0}
        self._make = ray.remote(make_and_pack).options(**options)
        self._prepare = ray.remote(load_libraries).options(**options)
        self._needs = {"CPU": cpus, "GPU": gpus}
        self._in_progress: dict[Any, str] = {}
        self._preparing: list[Any] = []

    @property
    def slots(self) -> int:
        """How many runs the cluster has room for now; machines may join and leave."""
        room: dict[str, float] = self._ray.cluster_resources()
        fits = [int(room.get(what, 0) // need) for what, need in self._needs.items() if need]
        return max(1, min(fits))

    def warm_up(self, workers: int) -> None:
        """Have up to ``workers`` workers load PyTorch in the background."""
        self._preparing = [self._prepare.remote() for _ in range(min(workers, self.slots))]

    def submit(self, job: RunJob) -> None:
        """Start ``job`` on the cluster."""
        here = str(Path.cwd())
        task = self._make.remote({"job": asdict(job), "kilonet": __version__, "directory": here})
        self._in_progress[task] = job.name

    def reply(self, job: str, proceed: bool) -> None:
        """Do nothing: runs on a cluster do not report their epochs."""

    def wait(self, seconds: float) -> Sequence[Event]:
        """Return the events of finished tasks, whose runs are then in the runs' folder."""
        tasks = [*self._in_progress]
        ready, _ = self._ray.wait(tasks, num_returns=1, timeout=seconds) if tasks else ([], [])
        return [self._event(task, self._in_progress.pop(task)) for task in ready]

    def close(self) -> None:
        """Disconnect from the cluster, which stops the runs in progress."""
        self._ray.shutdown()

    def _event(self, task: Any, job: str) -> Event:
        try:
            outcome = self._ray.get(task)
        except self._ray.exceptions.RayTaskError as error:
            return RunFailed(job, f"{error.cause or error}".splitlines()[-1], fatal=True)
        except self._ray.exceptions.RayError as error:
            return RunLost(job, type(error).__name__)
        if "message" in outcome:
            return RunFailed(job, outcome["message"], outcome["fatal"])
        unpack(outcome["packed"], self._runs / job)
        return RunFinished(job)


def load_libraries() -> None:
    """Load PyTorch and what else a run needs, on a worker of the cluster."""
    import kilonet.studies.worker  # noqa: F401


def make_and_pack(task: dict[str, Any]) -> dict[str, Any]:
    """Make a run on a worker of the cluster; return its directory as bytes, or its failure."""
    from kilonet.studies.worker import failure_event, make_run

    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with suppress(OSError):  # a network of the user's own is in the directory of the coordinator
        os.chdir(task["directory"])
    try:
        _require_same_version(task["kilonet"])
        job = RunJob(**task["job"])
        with temporary_folder() as folder:
            run = make_run(job, Path(folder), None, Reporter())
            return {"packed": pack(run.path)}
    except KilonetError as error:
        return failure_event(error)


def _require_same_version(version: str) -> None:
    if version != __version__:
        raise StudyError(
            f"A worker of the cluster has Kilonet {__version__}, this machine {version}. Install "
            "the same version on both."
        )


def pack(folder: Path) -> bytes:
    """Return the files of ``folder`` as a tar archive."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for path in sorted(folder.iterdir()):
            archive.add(path, path.name)
    return content.getvalue()


def unpack(content: bytes, folder: Path) -> None:
    """Replace ``folder`` by the files of an archive, in one step.

    Nothing outside ``folder`` is written, whatever names the archive has.
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


def find_cluster(address: str) -> str:
    """Return HOST:PORT for ``address``, after checking that Ray answers there.

    Ray itself would wait almost a minute for a cluster that does not exist.

    Raises:
        UsageError: ``address`` has another form.
        StudyError: nothing answers there.
    """
    host = _host_and_port(address)
    _require_cluster(host)
    return host


def _host_and_port(address: str) -> str:
    if address == "auto":
        local = os.environ.get(ADDRESS_VARIABLE) or _local_cluster()
        if not local:
            raise StudyError(
                "No Ray cluster runs on this machine. Start one (ray start --head), name one "
                "(--address HOST:PORT), or leave out --on ray."
            )
        return _host_and_port(local)
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isdigit() or not 0 < int(port) < 2**16:
        raise UsageError(
            f'"{address}" is not an address of a Ray cluster; write HOST:PORT, for example '
            "127.0.0.1:6379, or auto."
        )
    return address


def _local_cluster() -> str | None:
    """Return the address of a cluster that runs on this machine, if any."""
    import ray

    running: set[str] = ray._private.services.find_gcs_addresses()  # type: ignore[no-untyped-call]
    return next(iter(sorted(running)), None)


def _require_cluster(address: str) -> None:
    host, _, port = address.rpartition(":")
    with (
        suppress(OSError),
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS) as connection,
    ):
        # Ray uses gRPC over HTTP/2: both sides begin with a SETTINGS frame (RFC 9113, 3.4).
        connection.settimeout(CONNECT_SECONDS)
        connection.sendall(_PREFACE)
        if connection.recv(9)[3:4] == _SETTINGS:
            return
    raise StudyError(
        f"No Ray cluster answers at {address}. Start it (ray start --head --port {port}), check "
        "the address, or leave out --on ray."
    )


def _connect(ray: Any, host: str) -> None:
    quiet = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": False}
    # One attempt, of less than a minute; by default Ray makes twenty.
    os.environ.setdefault("RAY_gcs_server_port_wait_time_s", "1")
    config = ray.job_config.JobConfig()
    config._client_job = True  # otherwise workers import from the current directory first
    try:
        ray.init(
            address=host, namespace="kilonet", include_dashboard=None, job_config=config, **quiet
        )
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        reason = str(error).strip().splitlines()[0].rstrip(".")
        raise StudyError(f"Cannot connect to the Ray cluster at {host}: {reason}.") from None
