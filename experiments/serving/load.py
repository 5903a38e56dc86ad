"""Load on a service: made pictures, wrk, and what the processes took."""

from __future__ import annotations

import json
import os
import resource
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from kilonet.errors import UsageError

SIDE = 280
MODES = ("L", "RGB", "RGBA")
PICTURES = 90  # each digit three times in each mode
SCRIPT = Path(__file__).with_name("wrk.lua")
TICKS = os.sysconf("SC_CLK_TCK")


def write_pictures(folder: Path, seed: int = 0) -> int:
    """Write pictures of digits, 280×280 PNGs in grey, colour and with opacity; return how many."""
    chance = np.random.default_rng(seed)
    for number in range(PICTURES):
        image = Image.new("L", (SIDE, SIDE), 255)
        font = ImageFont.load_default(int(chance.integers(120, 240)))
        place = tuple(chance.integers(20, 110, 2).tolist())
        ImageDraw.Draw(image).text(place, str(number // 3 % 10), 20, font)
        turned = image.rotate(
            float(chance.uniform(-15, 15)), Image.Resampling.BILINEAR, fillcolor=255
        )
        turned.convert(MODES[number % 3]).save(folder / f"{number}.png")
    return PICTURES


@dataclass(frozen=True)
class Processes:
    """The processes of a service: the one that was started, and its workers."""

    main: int

    def all(self) -> list[int]:
        """Return their ids, the main one first."""
        listed = Path(f"/proc/{self.main}/task/{self.main}/children").read_text()
        return [self.main, *map(int, listed.split())]

    def seconds(self) -> list[float]:
        """Return how long each has had a processor."""
        fields = [_stat(process) for process in self.all()]
        return [(int(one[11]) + int(one[12])) / TICKS for one in fields]

    def memory(self) -> int:
        """Return the bytes that they have in memory, what they share counted once (PSS)."""
        rolled = [Path(f"/proc/{process}/smaps_rollup").read_text() for process in self.all()]
        return sum(int(text.split("\nPss:")[1].split()[0]) * 1024 for text in rolled)


def _stat(process: int) -> list[str]:
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()


def run_wrk(url: str, folder: Path, connections: int, seconds: float) -> dict[str, Any]:
    """Return what wrk measured, with the share of a core that it took itself.

    Raises:
        UsageError: there is no wrk.
    """
    words = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--timeout", "30s"]
    before = _children()
    try:
        done = subprocess.run(
            [*words, "-s", str(SCRIPT), url, "--", str(folder), str(PICTURES)],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    except FileNotFoundError:
        raise UsageError("There is no wrk. Install it: apt-get install wrk") from None
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found | {"client_cores": (_children() - before) / found["seconds"]}


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
