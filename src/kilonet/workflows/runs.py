"""Runs as Python sees them: their recipe, history, metrics and files, and their networks."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from kilonet.errors import RunError, UsageError
from kilonet.files import runs_dir
from kilonet.recipe.schema import Recipe
from kilonet.runs import layout
from kilonet.runs.directory import RunDirectory
from kilonet.runs.find import list_runs as list_directories
from kilonet.runs.find import open_run
from kilonet.runs.layout import Row

if TYPE_CHECKING:
    from torch import nn

    from kilonet.data.specs import DataInfo
    from kilonet.evaluation.metrics import Metrics
    from kilonet.training.profile import Profile


@dataclass(frozen=True)
class Run:
    """A training run on disk, finished or not."""

    directory: RunDirectory
    profile: Profile | None = field(default=None, compare=False)
    """Where the time of the training went, if that was measured."""

    @property
    def name(self) -> str:
        """The name of its directory."""
        return self.directory.name

    @property
    def path(self) -> Path:
        """Its directory."""
        return self.directory.path

    @property
    def finished(self) -> bool:
        """Whether it was trained to its end and evaluated."""
        return self.directory.finished

    @property
    def recipe(self) -> Recipe:
        """Its resolved recipe."""
        return self.directory.recipe()

    @property
    def data_info(self) -> DataInfo:
        """The properties of the data that it was trained on; the data is not loaded."""
        return self.directory.data_info()

    @property
    def history(self) -> list[Row]:
        """A row per epoch: losses, accuracies as fractions, learning rate, seconds."""
        return self.directory.history()

    @property
    def test(self) -> Metrics:
        """The metrics of the final weights on the test split.

        Raises:
            RunError: the run has not finished, or its metrics are damaged.
        """
        from kilonet.evaluation.metrics import Metrics

        self.directory.require_finished()
        return Metrics.from_json(self.directory.metrics()["test"])

    @property
    def report(self) -> Path:
        """The report, a page for the browser."""
        return self.directory.file(layout.REPORT_HTML)


def find_run(source: str | Path | Run) -> Run:
    """Return ``source`` itself, or the run at that path or of that name.

    Raises:
        UsageError: there is no such run.
        RunError: it is damaged, or of another format.
    """
    return source if isinstance(source, Run) else Run(open_run(source))


def list_runs(folder: str | Path | None = None) -> list[Run]:
    """Return the readable runs in ``folder`` (default: the runs directory), the oldest first."""
    where = Path(folder) if folder is not None else runs_dir()
    return [Run(directory) for directory in list_directories(where).runs]


def load(source: str | Path | Run, *, model: nn.Module | str | None = None) -> nn.Module:
    """Return the trained network of a run (the run itself, its name or its path) or of a folder.

    It is in evaluation mode, on the CPU, with the weights that the run keeps, and maps normalised
    float32 images N×C×H×W to logits N×K. If the network is a class of your own, its code runs only
    if you name it: ``model="module:Class"``; it is the code that the run stored. ``model`` can also
    be an object of the class, which gets the weights. A folder that ``save_pretrained`` wrote is
    read too; the normalisation of its images is in its ``config.json``, and
    ``Classifier.from_pretrained`` applies it.

    Raises:
        UsageError: there is no such run or folder, or ``model`` is not the class of its network.
        RunError, CheckpointError: it is damaged, unfinished, or its weights do not fit.
    """
    from kilonet.exports.huggingface.pretrained import is_pretrained_folder, read_pretrained
    from kilonet.training.checkpoints import load_weights

    if not isinstance(source, Run) and is_pretrained_folder(Path(source)):
        return read_pretrained(Path(source), model).network
    run = find_run(source)
    run.directory.require_finished()
    recipe = run.recipe
    network = network_of(run.directory, recipe, trusted=model)
    load_weights(run.directory.checked_file(kept_weights(recipe)), network)
    return network.eval()


def kept_weights(recipe: Recipe) -> str:
    """Return the name of the file with the weights that a run of ``recipe`` keeps."""
    return layout.BEST if recipe.training.keep == "best" else layout.LAST


def require_module(model: object) -> nn.Module:
    """Return ``model`` if it is a network."""
    from torch import nn

    if isinstance(model, nn.Module):
        return model
    kind = f"the class {model.__name__}" if isinstance(model, type) else type(model).__name__
    raise UsageError(
        f"A network is an object of a class derived from torch.nn.Module, such as model=Net(), or "
        f'the name "module:Class"; this is {kind}.'
    )


def network_for(recipe: Recipe) -> nn.Module:
    """Return a fresh network for the images of the recipe's data set, which is not loaded.

    Raises:
        UsageError: there is no such data set.
        RecipeError: the network cannot be built.
    """
    from kilonet.data.folder import dataset_spec
    from kilonet.models.build import build

    data = dataset_spec(recipe.data)
    return build(recipe.model, data.shape, len(data.classes))


def network_of(run: RunDirectory, recipe: Recipe, trusted: nn.Module | str | None) -> nn.Module:
    """Return a fresh network for ``recipe``, which was read from the directory of ``run``.

    A class that the recipe names is code from outside. It runs only if it is ``trusted``, that is
    named by the user; the copy of its code in the run is used if there is one. An object of the
    user's is returned itself.

    Raises:
        RunError: the run names a class that the user did not name, or only an object can be given.
        UsageError: the user named a class that is not the run's network.
    """
    from kilonet.models.build import build
    from kilonet.models.custom import require_trusted

    if trusted is not None and not isinstance(trusted, str):
        return require_module(trusted)
    require_trusted(recipe.model, run.path, trusted)
    if run.facts.get(layout.OBJECT_KEY):
        raise RunError(
            f"{run.path} was trained on an object of {recipe.model.name}, and its arguments are "
            "not known. From Python give such an object: model=Net(...). "
            f"{run.file(layout.ONNX)} needs no code: it can be evaluated and exported as it is."
        )
    data, sources = run.data_info(), run.file(layout.SOURCE)
    folder = sources if sources.is_dir() else None
    return build(recipe.model, data.shape, len(data.classes), folder)
