"""The parts of the measurement that need no wrk."""

from __future__ import annotations

import importlib
from pathlib import Path

import psutil
from PIL import Image

from kilonet.preprocessing import prepare

ROOT = Path(__file__).resolve().parents[2]

load = importlib.import_module("measure_service")


def test_the_pictures_that_are_sent(tmp_path: Path) -> None:
    assert load.write_pictures(tmp_path) == load.PICTURES
    files = [tmp_path / f"{number}.png" for number in range(load.PICTURES)]
    seen = set()
    for file in files:
        with Image.open(file) as picture:
            seen.add((picture.size, picture.mode))
        prepare(file)
    assert seen == {((280, 280), mode) for mode in load.MODES}


def test_what_processes_take() -> None:
    here = psutil.Process()
    assert load.seconds_of(here)[0] > 0
    assert load.memory_of(here) > 1e6
