"""The coordinator: it gives jobs to an executor, handles the events, and repeats lost runs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from kilonet.errors import StudyError
from kilonet.runs.layout import Row
from kilonet.studies.plan import RunJob

MAX_ATTEMPTS = 3
POLL_SECONDS = 0.5  # the longest time until Ctrl-C takes effect


@dataclass(frozen=True)
class EpochFinished:
    """A run has completed an epoch; ``row`` is its line of the history."""

    job: str
    row: Row


@dataclass(frozen=True)
class RunFinished:
    """A run is finished, and its directory is in the study's directory."""

    job: str


@dataclass(frozen=True)
class RunPruned:
    """A run was stopped after an epoch, because the coordinator replied so."""

    job: str


@dataclass(frozen=True)
class RunFailed:
    """A run failed; ``message`` says why. If ``fatal``, every other run would fail too."""

    job: str
    message: str
    fatal: bool


@dataclass(frozen=True)
class RunLost:
    """The worker process of a run has ended; the run can be repeated."""

    job: str
    reason: str


@dataclass(frozen=True)
class WorkerSilent:
    """The worker process of a run gives no sign of life; ``message`` names it."""

    job: str
    message: str


RunEvent: TypeAlias = RunFinished | RunPruned | RunFailed | RunLost | WorkerSilent
Event: TypeAlias = EpochFinished | RunEvent
Report: TypeAlias = Callable[[RunEvent], None]


class Executor(Protocol):
    """Makes runs on this machine or on a cluster, up to ``slots`` at a time."""

    @property
    def slots(self) -> int:
        """How many runs can be in progress at once."""

    def warm_up(self, workers: int) -> None:
        """Start up to ``workers`` workers in the background; they load PyTorch meanwhile."""

    def submit(self, job: RunJob) -> None:
        """Start ``job``; a slot must be free."""

    def reply(self, job: str, proceed: bool) -> None:
        """Tell a prunable run whether to continue after its last epoch."""

    def wait(self, seconds: float) -> Sequence[Event]:
        """Return the events since the last call; wait up to ``seconds`` for the first."""

    def close(self) -> None:
        """Stop all workers, with the runs that are in progress."""


class JobQueue(Protocol):
    """Provides the jobs and records how they end."""

    def next_job(self) -> RunJob | None:
        """Return the next job, or None if there is none."""

    def should_continue(self, job: str, row: Row) -> bool:
        """Return whether a prunable run should continue after the epoch of ``row``."""

    def record(self, job: str, event: RunFinished | RunPruned | RunFailed) -> None:
        """Record how ``job`` ended."""


class FixedJobs:
    """A queue of given jobs, in order; each runs to its end."""

    def __init__(self, jobs: Iterable[RunJob]) -> None:
        self._jobs = deque(jobs)

    def next_job(self) -> RunJob | None:
        """Return the next job."""
        return self._jobs.popleft() if self._jobs else None

    def should_continue(self, job: str, row: Row) -> bool:  # noqa: ARG002
        """Return True."""
        return True

    def record(self, job: str, event: RunFinished | RunPruned | RunFailed) -> None:
        """Do nothing: the run's directory has the result."""


class Coordinator:
    """Makes the jobs of ``queue`` with ``executor``; ``report`` gets each event."""

    def __init__(self, queue: JobQueue, executor: Executor, report: Report) -> None:
        self._queue = queue
        self._executor = executor
        self._report = report
        self._repeat: deque[RunJob] = deque()
        self._in_progress: dict[str, RunJob] = {}
        self._attempts: dict[str, int] = {}
        self._failures: dict[str, str] = {}

    def run(self, after_start: Callable[[], None] = lambda: None) -> dict[str, str]:
        """Make all jobs; return the runs that failed with their messages.

        ``after_start`` is called once, when the first runs have been submitted.

        Raises:
            StudyError: a run failed for a reason that holds for all runs, or lost its worker
                ``MAX_ATTEMPTS`` times.
        """
        self._submit_jobs()
        after_start()
        while self._submit_jobs() or self._in_progress:
            for event in self._executor.wait(POLL_SECONDS):
                self._handle(event)
        return self._failures

    def _submit_jobs(self) -> bool:
        """Fill the free slots; return whether a job was submitted."""
        submitted = False
        while len(self._in_progress) < self._executor.slots:
            job = self._repeat.popleft() if self._repeat else self._queue.next_job()
            if job is None:
                break
            self._in_progress[job.name] = job
            self._attempts[job.name] = self._attempts.get(job.name, 0) + 1
            self._executor.submit(job)
            submitted = True
        return submitted

    def _handle(self, event: Event) -> None:
        if isinstance(event, EpochFinished):
            if self._in_progress[event.job].prunable:
                proceed = self._queue.should_continue(event.job, event.row)
                self._executor.reply(event.job, proceed)
            return
        if isinstance(event, WorkerSilent):
            self._report(event)
            return
        job = self._in_progress.pop(event.job)
        if isinstance(event, RunLost):
            self._schedule_again(job, event)
            return
        if isinstance(event, RunFailed):
            if event.fatal:
                raise StudyError(f"{job.name}: {event.message}")
            self._failures[job.name] = event.message
        self._report(event)
        self._queue.record(job.name, event)

    def _schedule_again(self, job: RunJob, event: RunLost) -> None:
        if self._attempts[job.name] >= MAX_ATTEMPTS:
            raise StudyError(
                f"{job.name} lost its worker {MAX_ATTEMPTS} times ({event.reason}). If nobody "
                "ended it, the machine may be out of memory: use fewer workers (--jobs 1) and "
                "repeat the command; finished runs are kept."
            )
        self._report(event)
        self._repeat.append(job)
