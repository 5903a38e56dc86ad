"""The coordinator: it gives jobs to an executor, handles the events, and repeats lost runs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

from kilonet.errors import StudyError
from kilonet.runs.layout import Row
from kilonet.studies.plan import RunJob

if TYPE_CHECKING:
    from kilonet.studies.directory import StudyDirectory

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


Event: TypeAlias = EpochFinished | RunFinished | RunPruned | RunFailed | RunLost


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


class RunObserver:
    """Receives what happens to the runs; subclasses override the methods that they need."""

    def run_started(self, job: str) -> None:
        """Handle a run that was given to a worker."""

    def epoch_finished(self, job: str, row: Row) -> None:
        """Handle the row of an epoch."""

    def run_finished(self, job: str) -> None:
        """Handle a finished run."""

    def run_pruned(self, job: str) -> None:
        """Handle a trial that was stopped early; only a search does that."""

    def run_failed(self, job: str, message: str) -> None:
        """Handle a failed run; the study continues without it."""

    def run_lost(self, job: str, reason: str) -> None:
        """Handle a run that lost its worker; it will be repeated."""


class StudyObserver(RunObserver):
    """Receives what happens in a study of a grid."""

    def study_started(self, study: StudyDirectory, finished: Collection[str]) -> None:
        """Handle the start of ``study``; the runs with the names ``finished`` exist already."""


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
    """Makes the jobs of ``queue`` with ``executor`` and reports to ``observer``."""

    def __init__(self, queue: JobQueue, executor: Executor, observer: RunObserver) -> None:
        self._queue = queue
        self._executor = executor
        self._observer = observer
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
            self._observer.run_started(job.name)
            self._executor.submit(job)
            submitted = True
        return submitted

    def _handle(self, event: Event) -> None:
        if isinstance(event, EpochFinished):
            self._handle_epoch(event)
            return
        job = self._in_progress.pop(event.job)
        if isinstance(event, RunLost):
            self._schedule_again(job, event)
            return
        if isinstance(event, RunFailed):
            if event.fatal:
                raise StudyError(f"{job.name}: {event.message}")
            self._failures[job.name] = event.message
            self._observer.run_failed(job.name, event.message)
        elif isinstance(event, RunPruned):
            self._observer.run_pruned(job.name)
        else:
            self._observer.run_finished(job.name)
        self._queue.record(job.name, event)

    def _handle_epoch(self, event: EpochFinished) -> None:
        self._observer.epoch_finished(event.job, event.row)
        if self._in_progress[event.job].prunable:
            proceed = self._queue.should_continue(event.job, event.row)
            self._executor.reply(event.job, proceed)

    def _schedule_again(self, job: RunJob, event: RunLost) -> None:
        if self._attempts[job.name] >= MAX_ATTEMPTS:
            raise StudyError(
                f"{job.name} lost its worker {MAX_ATTEMPTS} times ({event.reason}). If nobody "
                "ended it, the machine may be out of memory: use fewer workers (--jobs 1) and "
                "repeat the command; finished runs are kept."
            )
        self._observer.run_lost(job.name, event.reason)
        self._repeat.append(job)
