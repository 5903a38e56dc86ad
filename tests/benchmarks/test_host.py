"""A contestant under its host, from the first answer to the end."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.contest import ROOT


def talk(folder: Path, requests: str, epochs: int = 50) -> tuple[list[dict[str, Any]], str]:
    options = {"data": str(folder), "epochs": epochs, "batch_size": 8, "workers": 0}
    host = [sys.executable, "-m", "benchmarks.contestants.host", "plain_loop", json.dumps(options)]
    done = subprocess.run(
        [*host, "--warmup", "2", "--packages", "torch,pillow"],
        cwd=ROOT,
        input=requests,
        capture_output=True,
        text=True,
        check=False,
    )
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def test_it_speaks_the_protocol(few_digits: Path) -> None:
    answers, _ = talk(few_digits, "steps 4\nsteps 3\n")
    ready, first, second = answers
    assert ready["ready"] and ready["warmup_steps"] == 2 and ready["threads"] >= 1
    assert set(ready["versions"]) == {"python", "torch", "pillow"}
    assert ready["startup_seconds"] > ready["warmup_seconds"] > 0
    # 20 images in batches of 8: 8 8 | 4 8 8 4 | 8 8 4
    assert (first["images"], second["images"]) == (24, 20)
    assert first["seconds"] > 0


def test_a_training_that_is_too_short_says_so(few_digits: Path) -> None:
    answers, said = talk(few_digits, "steps 4\nsteps 3\n", epochs=2)
    assert len(answers) == 2
    assert said.strip().endswith(
        "plain_loop: its training ended before the driver had enough steps"
    )
