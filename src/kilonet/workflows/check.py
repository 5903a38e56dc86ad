"""Hold a run against its constraints, or against others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kilonet.recipe.schema import Constraints
from kilonet.runs.compliance import ConstraintCheck, MeasuredRun, check_constraints
from kilonet.workflows.run import Run, find_run, require_finished


def check(
    source: str | Path | Run, constraints: Constraints | None = None
) -> Sequence[ConstraintCheck]:
    """Return the compliance checklist of a finished run, a line a constraint.

    ``constraints`` replace those of the run's recipe, key by key where they are set.

    Raises:
        UsageError: there is no such run.
        RunError: it is damaged or has not finished.
    """
    run = find_run(source)
    require_finished(run)
    found = run.directory.metrics()
    measured = MeasuredRun(
        parameters=found["parameters"],
        epochs=found["epochs"],
        accuracy=found["test"]["accuracy"],
        layers=frozenset(found["layers"]),
    )
    return check_constraints(_merged(run.recipe.constraints, constraints), measured)


def _merged(own: Constraints, given: Constraints | None) -> Constraints:
    if given is None:
        return own
    return own.model_copy(update=given.model_dump(exclude_unset=True))
