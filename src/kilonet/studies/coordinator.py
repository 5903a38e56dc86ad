"""The loop that has a study's runs made: who works at what, what came of it, what is made again."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Protocol

from kilonet.errors import StudyError
from kilonet.runs.layout import Row
from kilonet.studies.places import Done, Epoch, Event, Failed, Lost, Place, Pruned
from kilonet.studies.plan import Job

MOST_TRIES = 3
PULSE = 0.5  # seconds after which Ctrl-C is heard at the latest


class StudyStopped(KeyboardInterrupt):
    """Ctrl-C while a study was running; ``message`` says how to go on."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Watcher(Protocol):
    """Told how the study goes."""

    def began(self, job: str) -> None:
        """A run has been given to a worker."""

    def epoch(self, job: str, row: Row) -> None:
        """A run has completed an epoch."""

    def done(self, job: str) -> None:
        """A run is finished."""

    def pruned(self, job: str) -> None:
        """A trial of a search was given up."""

    def failed(self, job: str, message: str) -> None:
        """A run diverged; the study goes on without it."""

    def lost(self, job: str, reason: str) -> None:
        """A run lost its worker, and is made again."""


class Source(Protocol):
    """Where the jobs come from, and who wants to know what comes of them."""

    def next(self) -> Job | None:
        """Return the next job, or None while, or if, there is none."""

    def go_on(self, job: str, row: Row) -> bool:
        """Say whether a run is to go on after the epoch of ``row``."""

    def over(self, job: str, event: Done | Pruned | Failed) -> None:
        """Take note that nothing more is to be done for ``job``."""


class Queue:
    """The jobs of a list, one after another; each goes on to its end."""

    def __init__(self, jobs: Iterable[Job]) -> None:
        self._jobs = deque(jobs)

    def next(self) -> Job | None:
        """Return the next job."""
        return self._jobs.popleft() if self._jobs else None

    def go_on(self, job: str, row: Row) -> bool:  # noqa: ARG002
        """Say yes."""
        return True

    def over(self, job: str, event: Done | Pruned | Failed) -> None:
        """Take note of nothing: the run's directory says it."""


class Coordinator:
    """Keeps the workers of ``place`` busy with the jobs of ``source`` and tells ``watcher``."""

    def __init__(self, source: Source, place: Place, watcher: Watcher) -> None:
        self._source = source
        self._place = place
        self._watcher = watcher
        self._again: deque[Job] = deque()
        self._at_work: dict[str, Job] = {}
        self._tries: dict[str, int] = {}

    def run(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Return when there are no more jobs and none is in progress.

        ``meanwhile`` is called once, when the first runs have been given out.

        Raises:
            StudyError: a run could not be made for a reason that no other would escape, or lost
                its worker again and again.
        """
        self._hand_out()
        meanwhile()
        while self._hand_out() or self._at_work:
            for event in self._place.wait(PULSE):
                self._take(event)

    def _hand_out(self) -> bool:
        """Give jobs to the workers that are free; say whether any was given."""
        given = False
        while len(self._at_work) < self._place.size:
            job = self._again.popleft() if self._again else self._source.next()
            if job is None:
                break
            self._at_work[job.name] = job
            self._tries[job.name] = self._tries.get(job.name, 0) + 1
            self._watcher.began(job.name)
            self._place.begin(job)
            given = True
        return given

    def _take(self, event: Event) -> None:
        if isinstance(event, Epoch):
            self._epoch(event)
            return
        job = self._at_work.pop(event.job)
        if isinstance(event, Lost):
            self._make_again(job, event)
            return
        if isinstance(event, Failed):
            if event.fatal:
                raise StudyError(f"{job.name}: {event.message}")
            self._watcher.failed(job.name, event.message)
        elif isinstance(event, Pruned):
            self._watcher.pruned(job.name)
        else:
            self._watcher.done(job.name)
        self._source.over(job.name, event)

    def _epoch(self, event: Epoch) -> None:
        self._watcher.epoch(event.job, event.row)
        if self._at_work[event.job].asks:
            self._place.answer(event.job, self._source.go_on(event.job, event.row))

    def _make_again(self, job: Job, event: Lost) -> None:
        if self._tries[job.name] >= MOST_TRIES:
            raise StudyError(
                f"{job.name} lost its worker {MOST_TRIES} times ({event.reason}). If nobody ended "
                "it, the machine may be out of memory: use fewer workers (--jobs 1), then repeat "
                "the line; what is finished is kept."
            )
        self._watcher.lost(job.name, event.reason)
        self._again.append(job)
