"""Trained networks as files: export targets verified against PyTorch, and model folders."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from kilonet.data.dataset import Dataset, is_available
from kilonet.data.folder import folder_path, is_folder
from kilonet.data.specs import DataInfo
from kilonet.errors import RunError, UsageError
from kilonet.exports.c.boards import find_board
from kilonet.exports.huggingface.config import CONFIG, MODEL_TYPE
from kilonet.exports.huggingface.folder import CARD, folder_files
from kilonet.exports.huggingface.pretrained import WEIGHTS, Pretrained
from kilonet.exports.int8.quantise import CALIBRATION_IMAGES
from kilonet.exports.targets import ExportFiles, ExportRequest, find_target
from kilonet.exports.verify import Verification, verify
from kilonet.extras import require
from kilonet.files import write_bytes, write_errors, write_json
from kilonet.models.measure import evaluation_mode
from kilonet.runs import find, layout
from kilonet.runs.environment import environment
from kilonet.runs.layout import read_json
from kilonet.training.seeding import generator
from kilonet.workflows.data import DataSource, data_for, load_run_data
from kilonet.workflows.runs import Run
from kilonet.workflows.source import NetworkSource, find_source

if TYPE_CHECKING:
    from kilonet.workflows.source import Source

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
    source: Source,
    to: str,
    *,
    data: DataSource | None = None,
    int8: bool = False,
    raw: bool = False,
    out: str | Path | None = None,
    data_dir: str | Path | None = None,
    model: torch.nn.Module | str | None = None,
    board: str | None = None,
) -> Export:
    """Write a network in the form ``to`` and compare it with PyTorch on a test split.

    ``source`` is a run, a model that ships, a folder of ``save_pretrained``, an ONNX file, a fitted
    ``Classifier`` or a ``torch.nn.Module``, which needs ``data``. ``to`` is "onnx", "c", "html",
    "lambda" or "huggingface". ``int8`` quantises it, calibrated on training images; ``raw`` is for
    ONNX with normalised float input. Files and a report go to the folder ``out`` (default:
    ``export`` in the run's directory, or in the current one if the network is not a run of yours).
    ``data`` is the data set (default: the run's own); if it is not on this machine, nothing is
    compared, and the result's ``note`` says so. ``model`` is the run's own class, or an object of
    it, if its network is one. ``board`` is a microcontroller, such as "cortex-m0": C then comes as
    a project that builds for it.

    Raises:
        UsageError: there is no such network, target or board, or the options contradict each other.
        KilonetError: the target lacks an operator; nothing was written.
        DataError: there are no images to calibrate with.
        RunError: the run is unfinished or damaged, or the folder cannot be written.
        MissingExtraError: the "train" extra is not installed.
    """
    for_board = find_board(board) if board is not None else None
    target = find_target(to, int8=int8, raw=raw, board=for_board)
    require("train")
    found = find_source(source, model, taker="export")
    needed = int8 or found.info is None
    dataset, missing = _data(found, data, data_dir, needed=needed)
    info = found.info_for(dataset.info) if dataset is not None else found.info
    assert info is not None  # of a module, the data set was needed
    with found.onnx_file(info) if target.from_onnx else nullcontext(found.onnx) as onnx:
        request = export_request(found, info, onnx, dataset if int8 else None)
        exported = target.make(replace(request, raw=raw, board=for_board))
    folder = Path(out) if out is not None else _default_folder(found.run)
    files = _write(folder, exported)
    verification, note = _verify(exported, found.network, dataset, info, folder)
    form = "-".join([to, *(["int8"] if int8 else []), *(["raw"] if raw else [])])
    form += f"-{board}" if board else ""
    report = folder / f"{found.name}-{form}.json"
    remarks = "; ".join(filter(None, (exported.remark, note or missing))) or None
    result = Export(form, found.name, files, report, verification, exported.budget, remarks)
    _write_report(result)
    return result


def _data(
    found: NetworkSource, data: DataSource | None, data_dir: str | Path | None, needed: bool
) -> tuple[Dataset | None, str | None]:
    """Return the data set to compare on; or None, if it is not needed and not here, and why."""
    if needed or data is not None:
        return data_for(found, data, data_dir), None
    unverified = "not compared with PyTorch"
    if found.run is None:
        return None, f"{unverified}: no data set is named. --data NAME names one"
    name = found.run.recipe.data.name
    if is_available(name, data_dir):
        return load_run_data(found.run, data_dir), None
    if is_folder(name):
        return None, f"{unverified}: {folder_path(name)} is not there any more"
    remedy = "kilonet data fetch gets it; --data-dir names its folder"
    return None, f"{unverified}: {found.run.data_info.title} is not on this machine. {remedy}"


def _default_folder(run: Run | None) -> Path:
    """Return the folder of exports: in the run, or in the current folder for any other network."""
    if run is None or run.path.resolve().parent == find.SHIPPED_FOLDER:
        return Path(FOLDER)
    folder = run.path / FOLDER
    if folder.is_symlink():
        raise RunError(
            f"{folder} is a symbolic link out of the run. Remove it, or name the folder: --out DIR"
        )
    return folder


def export_request(
    found: NetworkSource, info: DataInfo, onnx: Path | None, calibrate: Dataset | None
) -> ExportRequest:
    """Return what to export: the network ``found``, quantised with images of ``calibrate``."""
    images = None
    if calibrate is not None:
        order = torch.randperm(len(calibrate.train_images), generator=generator(0, "calibration"))
        images = calibrate.train_images[order[:CALIBRATION_IMAGES]].numpy()
    return ExportRequest(
        onnx or Path(layout.ONNX),
        found.name,
        info.mean,
        info.std,
        images,
        run=found.run.directory if found.run is not None else None,
        pretrained=lambda: found.pretrained(info),
    )


def _write(folder: Path, exported: ExportFiles) -> tuple[Path, ...]:
    with write_errors(folder, "Name another folder with --out."):
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in exported.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            write_bytes(folder / name, content)
    return tuple(folder / name for name in exported.files)


def _verify(
    exported: ExportFiles,
    network: torch.nn.Module,
    dataset: Dataset | None,
    info: DataInfo,
    folder: Path,
) -> tuple[Verification | None, str | None]:
    if dataset is None:
        return None, None
    with exported.start(folder) as runnable:
        if runnable is None:
            return None, f"not compared with PyTorch: {exported.not_runnable}"
        images, labels = dataset.test_images, dataset.test_labels
        with evaluation_mode(network):
            return verify(runnable, network, images, labels, info.mean, info.std), None


def _write_report(result: Export) -> None:
    write_json(result.report, {**result.to_json(), "environment": environment("cpu", 1)})


def save_pretrained(
    source: Source, folder: str | Path, *, model: torch.nn.Module | str | None = None
) -> Path:
    """Write a trained network to ``folder`` in the layout of the Hugging Face hub; return it.

    ``source`` is a finished run (itself, its name or its path), a model that ships, another such
    folder, or a fitted ``Classifier``. The folder gets ``config.json``, ``model.safetensors``, a
    model card ``README.md`` with the hub's metadata, and the recipe of a run. ``kilonet.load`` and
    ``Classifier.from_pretrained`` read it. It works offline. ``model`` is the run's own class, or
    an object of it, if its network is one.

    Raises:
        UsageError: there is no such network, or it cannot be stored (a module says nothing about
            its images).
        RunError: the run is unfinished or damaged, or ``folder`` holds something else or cannot be
            written.
    """
    found = find_source(source, model, taker="save_pretrained")
    files = folder_files(_pretrained(found), found.run.directory if found.run is not None else None)
    target = Path(folder)
    _require_own_files(target)
    with write_errors(target, "Name another folder."):
        target.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            write_bytes(target / name, content)
    return target


def find_pretrained(
    source: str | Path | Run, model: torch.nn.Module | str | None = None
) -> Pretrained:
    """Return the network of a folder that ``save_pretrained`` wrote, or of a run.

    Raises:
        UsageError: there is neither.
        RunError, CheckpointError: it is damaged, unfinished, or of another kind.
    """
    return _pretrained(find_source(source, model, taker="from_pretrained"))


def _pretrained(found: NetworkSource) -> Pretrained:
    if found.info is None:
        raise UsageError(
            f"{found.name} is a module, which does not say the classes and normalisation of its "
            'images. Train it, or write the folder with export(..., "huggingface", data=...).'
        )
    return found.pretrained(found.info)


def _require_own_files(folder: Path) -> None:
    """Check that ``folder`` has no files of other programs that would be replaced."""
    others = [name for name in (CONFIG, WEIGHTS, CARD, layout.RECIPE) if (folder / name).exists()]
    if others and not _has_own_config(folder):
        raise RunError(
            f"{folder} holds a {others[0]} that save_pretrained did not write. Name a folder that "
            "is new, empty, or an earlier one of its own."
        )


def _has_own_config(folder: Path) -> bool:
    try:
        content = read_json(folder / CONFIG)
    except RunError:
        return False
    return content.get("model_type") == MODEL_TYPE
