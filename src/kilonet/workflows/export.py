"""Trained networks as files: export targets verified against PyTorch, and model folders."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from kilonet.data.dataset import Dataset, is_available
from kilonet.data.folder import folder_path, is_folder
from kilonet.errors import RunError, UsageError
from kilonet.exports.c.boards import find_board
from kilonet.exports.huggingface.config import CONFIG, MODEL_TYPE
from kilonet.exports.huggingface.folder import CARD, folder_files, pretrained_of
from kilonet.exports.huggingface.pretrained import (
    WEIGHTS,
    Pretrained,
    is_pretrained_folder,
    read_pretrained,
)
from kilonet.exports.int8.quantise import CALIBRATION_IMAGES
from kilonet.exports.targets import ExportFiles, ExportRequest, find_target
from kilonet.exports.verify import Verification, verify
from kilonet.extras import require
from kilonet.files import write_bytes, write_errors, write_json
from kilonet.runs import layout
from kilonet.runs.directory import RunDirectory
from kilonet.runs.environment import environment
from kilonet.training.seeding import generator
from kilonet.workflows.data import load_run_data
from kilonet.workflows.runs import Run, find_run, load

if TYPE_CHECKING:
    from kilonet.workflows.classifier import Classifier

FOLDER = "export"
"""The default folder of exports in a run directory."""


@dataclass(frozen=True)
class Export:
    """The files of an export, and how it compares with PyTorch on the test split.

    ``report`` is the JSON file with all of this. ``verification`` is None if it was not possible.
    ``note`` says why, and what else a user must know about the files.
    """

    target: str
    model: str
    files: tuple[Path, ...]
    report: Path
    verification: Verification | None
    budget: Mapping[str, int]
    note: str | None

    @property
    def sizes(self) -> dict[str, int]:
        """The bytes of each file, by name."""
        return {path.name: path.stat().st_size for path in self.files}

    def to_json(self) -> dict[str, Any]:
        """Return what the report holds, ready for ``json.dump``."""
        return {
            "target": self.target,
            "model": self.model,
            "bytes": self.sizes,
            "budget": dict(self.budget),
            "verification": asdict(self.verification) if self.verification else None,
            "note": self.note,
        }


def export(
    source: str | Path | Run,
    to: str,
    *,
    int8: bool = False,
    raw: bool = False,
    out: str | Path | None = None,
    data_dir: str | Path | None = None,
    model: str | None = None,
    board: str | None = None,
) -> Export:
    """Export a finished run's network, and compare the export with PyTorch.

    ``to`` is "onnx", "c", "html", "lambda" or "huggingface". ``int8`` quantises it, calibrated on
    training images; ``raw`` is for ONNX with normalised float input. Files and a report go to the
    folder ``out`` (default: ``export`` in the run's directory). If the run's data set is not on
    this machine, nothing is compared, and the result's ``note`` says so. ``model`` is the run's own
    class if its network is one. ``board`` is a microcontroller, such as "cortex-m0": C then comes
    as a project that builds for it.

    Raises:
        UsageError: there is no such run, target or board, or the options contradict each other.
        KilonetError: the target lacks an operator; nothing was written.
        DataError: there are no images to calibrate with.
        RunError: the run is unfinished or damaged, or the folder cannot be written.
        MissingExtraError: the "train" extra is not installed.
    """
    for_board = find_board(board) if board is not None else None
    target = find_target(to, int8=int8, raw=raw, board=for_board)
    require("train")
    run = find_run(source)
    run.directory.require_finished()
    network = load(run, model=model)
    dataset = _data(run, data_dir, needed=int8)
    if target.from_onnx:
        require_onnx(run)
    request = export_request(run, network, dataset if int8 else None)
    exported = target.make(replace(request, raw=raw, board=for_board))
    folder = Path(out) if out is not None else run.path / FOLDER
    if out is None and folder.is_symlink():
        raise RunError(
            f"{folder} is a symbolic link out of the run. Remove it, or name the folder: --out DIR"
        )
    files = _write(folder, exported)
    verification, note = _verify(exported, network, dataset, folder, run)
    form = "-".join([to, *(["int8"] if int8 else []), *(["raw"] if raw else [])])
    form += f"-{board}" if board else ""
    report = folder / f"{run.name}-{form}.json"
    remarks = "; ".join(filter(None, (exported.remark, note))) or None
    result = Export(form, run.name, files, report, verification, exported.budget, remarks)
    _write_report(result)
    return result


def _data(run: Run, data_dir: str | Path | None, needed: bool) -> Dataset | None:
    """Return the run's data set; None if it is not on this machine and not needed."""
    if needed or is_available(run.recipe.data.name, data_dir):
        return load_run_data(run, data_dir)
    return None


def require_onnx(run: Run) -> None:
    """Check that a run has an ONNX file.

    Raises:
        RunError: it has none.
    """
    path = run.directory.file(layout.ONNX)
    if not path.exists():
        why = run.directory.facts.get("onnx_note") or f"{path} is missing."
        raise RunError(f"{run.path} has no ONNX file to export from: {why}")


def export_request(run: Run, network: torch.nn.Module, calibrate: Dataset | None) -> ExportRequest:
    """Return what to export: ``network`` of ``run``, quantised with images of ``calibrate``."""
    path = run.directory.file(layout.ONNX)
    data, images = run.data_info, None
    if calibrate is not None:
        order = torch.randperm(len(calibrate.train_images), generator=generator(0, "calibration"))
        images = calibrate.train_images[order[:CALIBRATION_IMAGES]].numpy()
    return ExportRequest(
        path, run.name, data.mean, data.std, images, run=run.directory, network=network
    )


def _write(folder: Path, exported: ExportFiles) -> tuple[Path, ...]:
    with write_errors(folder, "Name another folder with --out."):
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in exported.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            write_bytes(folder / name, content)
    return tuple(folder / name for name in exported.files)


def _verify(
    exported: ExportFiles, network: torch.nn.Module, dataset: Dataset | None, folder: Path, run: Run
) -> tuple[Verification | None, str | None]:
    if dataset is None:
        name, title = run.recipe.data.name, run.data_info.title
        remedy = "kilonet data fetch gets it; --data-dir names its folder"
        missing = f"{title} is not on this machine. {remedy}"
        if is_folder(name):
            missing = f"{folder_path(name)} is not there any more"
        return None, f"not compared with PyTorch: {missing}"
    with exported.start(folder) as runnable:
        if runnable is None:
            return None, f"not compared with PyTorch: {exported.not_runnable}"
        images, labels = dataset.test_images, dataset.test_labels
        return verify(runnable, network, images, labels, dataset.mean, dataset.std), None


def _write_report(result: Export) -> None:
    write_json(result.report, {**result.to_json(), "environment": environment("cpu", 1)})


def save_pretrained(
    source: str | Path | Run | Classifier, folder: str | Path, *, model: str | None = None
) -> Path:
    """Write a trained network to ``folder`` in the layout of the Hugging Face hub; return it.

    ``source`` is a finished run (itself, its name or its path), a model that ships, or a fitted
    ``Classifier``. The folder gets ``config.json``, ``model.safetensors``, a model card
    ``README.md`` with the hub's metadata, and the recipe of a run. ``kilonet.load`` and
    ``Classifier.from_pretrained`` read it. It works offline. ``model`` is the run's own class if
    its network is one.

    Raises:
        UsageError: there is no such run, or the classifier was not fitted.
        RunError: the run is unfinished or damaged, or ``folder`` holds something else or cannot be
            written.
    """
    pretrained, run = _trained(source, model)
    files = folder_files(pretrained, run)
    target = Path(folder)
    _require_own_files(target)
    with write_errors(target, "Name another folder."):
        target.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            write_bytes(target / name, content)
    return target


def find_pretrained(source: str | Path | Run, model: str | None = None) -> Pretrained:
    """Return the network of a folder that ``save_pretrained`` wrote, or of a run.

    Raises:
        UsageError: there is neither.
        RunError, CheckpointError: it is damaged, unfinished, or of another kind.
    """
    if not isinstance(source, Run) and is_pretrained_folder(Path(source)):
        return read_pretrained(Path(source), model)
    run = find_run(source)
    return pretrained_of(run.directory, load(run, model=model))


def _trained(
    source: str | Path | Run | Classifier, model: str | None
) -> tuple[Pretrained, RunDirectory | None]:
    if isinstance(source, str | Path | Run):
        run = find_run(source)
        return pretrained_of(run.directory, load(run, model=model)), run.directory
    pretrained = getattr(source, "pretrained_", None)
    if not isinstance(pretrained, Pretrained):
        raise UsageError(
            f"save_pretrained was given a {type(source).__name__} that holds no trained network. "
            "Give a finished run, the name of one, or a Classifier after fit."
        )
    return pretrained, None


def _require_own_files(folder: Path) -> None:
    """Check that ``folder`` has no files of other programs that would be replaced.

    Raises:
        RunError: it has.
    """
    others = [name for name in (CONFIG, WEIGHTS, CARD, layout.RECIPE) if (folder / name).exists()]
    if others and not _has_own_config(folder):
        raise RunError(
            f"{folder} holds a {others[0]} that save_pretrained did not write. Name a folder that "
            "is new, empty, or an earlier one of its own."
        )


def _has_own_config(folder: Path) -> bool:
    try:
        content = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.get("model_type") == MODEL_TYPE
