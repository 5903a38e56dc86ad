"""Train a recipe into a run directory, or resume a run that was interrupted."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from kilonet.errors import (
    CheckpointError,
    RunError,
    Stopped,
    TrainingError,
    WorkerLostError,
    is_out_of_memory,
)
from kilonet.extras import require
from kilonet.models.build import section_of, structure_of
from kilonet.models.custom import Sources, digest_of, source_files
from kilonet.progress import Reporter
from kilonet.recipe.families import CustomConfig
from kilonet.recipe.fingerprint import fingerprint
from kilonet.recipe.keys import as_overrides
from kilonet.recipe.load import Resolved, resolve
from kilonet.recipe.schema import Recipe
from kilonet.report.tensorboard import Events, events_of, require_events
from kilonet.runs import layout
from kilonet.runs.directory import RunDirectory, new_run, require_unused
from kilonet.runs.environment import environment
from kilonet.runs.find import open_run
from kilonet.training.checkpoints import State, load_state, save_state
from kilonet.training.fit import Fit, Outcome
from kilonet.training.profile import Profiler
from kilonet.workflows.data import DataSource, load_run_data
from kilonet.workflows.finetune import recipe_to_go_on
from kilonet.workflows.finish import finish
from kilonet.workflows.own_data import as_dataset, name_of
from kilonet.workflows.runs import Run, find_run, network_of, require_module
from kilonet.workflows.session import (
    Session,
    open_session,
    seed_weights,
    training_group,
    with_network,
)


class Interrupted(Stopped):
    """Ctrl-C during the training of a run; ``run`` is the directory to resume."""

    def __init__(self, run: Path) -> None:
        super().__init__(
            f"Stopped. Completed epochs are kept. Resume with: kilonet train --resume {run}"
        )
        self.run = run


def train(
    recipe: str | Path | Recipe | None = None,
    *,
    data: DataSource | None = None,
    model: nn.Module | str | None = None,
    overrides: Sequence[str] = (),
    name: str | None = None,
    data_dir: str | Path | None = None,
    out: str | Path | None = None,
    profile: bool = False,
    reporter: Reporter | None = None,
    **keywords: Any,
) -> Run:
    """Train ``recipe``, a shipped name, a ``.toml`` path or an object; return the finished run.

    The default recipe is "fast-99.4". With ``weights``, such as ``weights="kilonet-25k"`` or a run,
    the training goes on from them, by default with their own recipe at a tenth of its learning
    rate, without teachers and constraints; ``freeze`` and ``weights_rate`` are further keys.

    ``model`` is a network of your own in place of the recipe's: an object, which is trained in
    place from the weights that it has, or a class as "module:Class". It maps normalised float32
    images N×C×H×W to logits N×K. The run stores a copy of its code.

    ``data`` is a data set in place of the recipe's: a registered name, a folder of pictures, a pair
    of arrays (images, labels), a torch ``Dataset``, a split of Hugging Face ``datasets``, or a pair
    of these, (training, test). Without a test split, a stratified fifth is held out as one.

    ``overrides`` are words such as ``"optimizer.lr=0.05"``; keywords such as ``epochs=2`` do the
    same. ``name`` is what the run calls the recipe (default: its name, or that of its file).
    ``out`` is the run directory (default: the next free ``runs/RECIPE-N``). ``reporter`` gets
    messages and progress. With ``profile`` the returned run says where the time went.

    Raises:
        UsageError, RecipeError: the recipe or an override is wrong, or over its budget. No run is
            created then, and nothing is downloaded.
        MissingExtraError: a package that training or its log needs is not installed. No run is
            created then.
        DataError: the data set cannot be found or is damaged. No run is created then.
        RunError: the run directory cannot be written.
        TrainingError: the loss is no longer finite; the run can be examined.
        Interrupted: Ctrl-C; the run can be resumed.
    """
    require("train")
    reporter = reporter or Reporter()
    if isinstance(model, str):
        overrides, model = [*overrides, f"model.name={model}"], None
    dataset = as_dataset(data) if data is not None and name_of(data) is None else None
    if data is not None:
        chosen = dataset.name if dataset is not None else name_of(data)
        overrides = [*overrides, f"data.name={chosen}"]
    overrides = [*overrides, *as_overrides(keywords)]
    if recipe is None:
        recipe, found_name = recipe_to_go_on(overrides, own_network=model is not None)
        name = name or found_name
    resolved = resolve(recipe, overrides, name)
    if model is not None:
        resolved = with_network(resolved, require_module(model), dataset)
    require_events(resolved.recipe)
    out = Path(out) if out is not None else None
    if out is not None:
        require_unused(out)
    group = training_group(resolved.recipe)
    with open_session(
        resolved,
        network=model,
        dataset=dataset,
        data_dir=data_dir,
        group=group,
        reporter=reporter,
    ) as session:
        own, facts = _own_network(session, is_object=model is not None)
        with (
            new_run(session.resolved, _facts(session) | facts, out, own) as run,
            run_errors(run),
        ):
            _announce(reporter, run, session)
            return _run_and_finish(session, run, reporter, profile)


def resume(
    source: str | Path | Run,
    *,
    data: DataSource | None = None,
    data_dir: str | Path | None = None,
    profile: bool = False,
    model: nn.Module | str | None = None,
    reporter: Reporter | None = None,
) -> Run:
    """Continue a run after its last completed epoch, and return the finished run.

    The result is bit-identical to that of an uninterrupted run on the same machine with the same
    number of threads, which are set as recorded. ``model`` is the run's own class, or an object
    of it, if its network is one; ``data`` are the images, if they were given in Python. A run that
    has finished is returned as it is.

    Raises:
        UsageError: there is no such run, or another number of processes trained it.
        RunError, CheckpointError: it is in use, damaged, or of another format.
    """
    require("train")
    reporter = reporter or Reporter()
    run = find_run(source).directory
    with run_errors(run), run.locked():
        run = open_run(run.path)  # another process may have changed it before the lock
        if run.finished:
            reporter.message(f"{run.path} has finished already: nothing is left to train.")
            return Run(run)
        recipe = _recorded_recipe(run)
        require_events(recipe)
        seed_weights(recipe)
        begun = run.file(layout.STATE).exists()
        with open_session(
            Resolved(run.facts["recipe"], recipe, data_named=True),
            network=network_of(run, recipe, trusted=model),
            dataset=load_run_data(Run(run), data_dir, reporter, data),
            group=training_group(recipe, int(run.facts["environment"].get("workers", "1"))),
            loaded=run.facts.get(layout.LOADED_KEY) if begun else None,
        ) as session:
            _restore(session.fit, run.file(layout.STATE))
            epochs = len(session.fit.history)
            reporter.message(f"Resuming {run.path} after {epochs} epochs.")
            return _run_and_finish(session, run, reporter, profile)


@contextmanager
def run_errors(run: RunDirectory) -> Iterator[None]:
    """Add the directory of ``run``, and how to continue, to errors that end its training.

    Raises:
        Interrupted: Ctrl-C.
        TrainingError: training had to stop. The run can be resumed if a process was lost.
        RunError: the directory can no longer be written, or there is no memory left.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(run.path) from None
    except WorkerLostError as error:
        raise WorkerLostError(
            f"{error} Whole epochs are kept; continue with: kilonet train --resume {run.path}"
        ) from error
    except TrainingError as error:
        raise TrainingError(f"{error} {_what_is_kept(run)}") from error
    except OSError as error:
        where = f"Cannot write to {run.path}" if error.filename is None else error.filename
        raise RunError(f"{where}: {error.strerror or error}. {_remedy(error, run)}") from error
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise RunError(
            "There is not enough memory. Close other programs, then continue: "
            f"kilonet train --resume {run.path}"
        ) from error


def _remedy(error: OSError, run: RunDirectory) -> str:
    """Return what to do after ``error`` of the system."""
    if not run.file(layout.RUN).is_file():
        return f"{run.path} was removed or moved during the training: train again."
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    begin = "Make room" if full else "Remove the cause"
    return f"{begin}, then continue: kilonet train --resume {run.path}"


def _what_is_kept(run: RunDirectory) -> str:
    if run.file(layout.STATE).exists():
        return f"The epochs before are kept in {run.path}."
    return f"No epoch was completed; the recipe is in {run.path}."


def _recorded_recipe(run: RunDirectory) -> Recipe:
    """Return the recipe of ``run`` with its device and number of threads, which decide rounding."""
    machine = run.facts["environment"]
    return run.recipe().with_training(device=machine["device"], threads=int(machine["threads"]))


def _restore(fit: Fit, path: Path) -> None:
    """Restore the state in ``path``; without one no epoch was completed, and training restarts."""
    if not path.exists():
        return
    state = load_state(path)
    try:
        fit.restore(state)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error


def _facts(session: Session) -> dict[str, Any]:
    """Return what a new run records beside its recipe."""
    fit = session.fit
    machine = environment(str(fit.device), torch.get_num_threads())
    return {
        "fingerprint": fingerprint(session.recipe, fit.group.size),
        "data_note": session.note,
        "kernels_note": session.kernels_note,
        "parameters": session.parameters,
        "environment": machine
        | {"workers": str(fit.group.size), "precision": fit.precision, "kernels": fit.kernels},
        **({layout.LOADED_KEY: session.loaded} if session.loaded else {}),
        layout.DATA_KEY: session.dataset.info.to_json(),
    }


def _own_network(session: Session, *, is_object: bool) -> tuple[Sources, dict[str, Any]]:
    """Return the code of a network of the user's own, and what the run records about it."""
    network, info = session.fit.model, session.dataset.info
    if not isinstance(session.recipe.model, CustomConfig):
        return {}, {}
    sources = source_files(type(network))
    unknown = is_object and not section_of(network, info.shape, len(info.classes))[1]
    digest = digest_of(sources, structure_of(network) if unknown else "")
    return sources, {layout.SOURCE_KEY: digest, layout.OBJECT_KEY: unknown}


def _announce(reporter: Reporter, run: RunDirectory, session: Session) -> None:
    machine = run.facts["environment"]
    for note in (session.note, session.kernels_note):
        if note:
            reporter.message(f"Note: {note}")
    reporter.message(
        f"{session.resolved.name}: {session.parameters:,} parameters on {session.dataset.title}, "
        f"{machine['device']} with {_hardware(machine)}; run {run.path}"
    )


def _hardware(machine: dict[str, str]) -> str:
    """Return what computes, such as "2 processes of 1 thread each and compiled kernels"."""
    threads = "1 thread" if machine["threads"] == "1" else f"{machine['threads']} threads"
    single = machine["workers"] == "1"
    hardware = threads if single else f"{machine['workers']} processes of {threads} each"
    if machine["kernels"] == "compiled":
        return f"{hardware} and compiled kernels"
    return hardware + (" in bfloat16" if machine["precision"] == "bfloat16" else "")


def _run_and_finish(session: Session, run: RunDirectory, reporter: Reporter, profile: bool) -> Run:
    fit = session.fit
    profiler = Profiler(fit) if profile else None
    with events_of(fit.recipe, run.file(layout.EVENTS), fit.history) as events:
        outcome = _run(session, run, reporter, events)
        measured = profiler.result() if profiler is not None else None
        finished = finish(run, fit.model, outcome, session.dataset, fit.device, events)
        return Run(finished, profile=measured)


def _run(session: Session, run: RunDirectory, reporter: Reporter, events: Events | None) -> Outcome:
    def save(state: State) -> None:
        save_state(run.file(layout.STATE), state)
        run.write_history(state["history"])
        if events is not None:
            events.update(state["history"])

    return session.run(reporter, save)
