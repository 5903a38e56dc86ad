"""Measure the overhead, crash safety and speed-up of studies on scikit-learn's digits.

    python experiments/measure_studies.py [example killed overhead ray plain]

Writes ``results/studies.json``. Parts that are not named keep their stored results. Times are
meaningful only on an otherwise idle machine.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kilonet.errors import StudyError
from kilonet.files import write_text
from kilonet.runs.environment import environment
from kilonet.studies.ray_executor import find_cluster

RESULT = Path(__file__).resolve().parents[1] / "results" / "studies.json"
EXAMPLE = ("quick", "data.name=digits", "training.epochs=10", "constraints=off",
           "--vary", "optimizer.name=adam,sgd", "--seeds", "5")  # fmt: skip
SHORT = ("quick", "data.name=digits", "training.epochs=3", "constraints=off",
         "--vary", "optimizer.name=adam,sgd", "--seeds", "10")  # fmt: skip
LONG = ("quick", "data.name=digits", "training.epochs=80", "constraints=off",
        "--vary", "optimizer.name=adam,sgd", "--seeds", "5")  # fmt: skip
KILLS = 10
ALONE = """
import sys, kilonet
first, step, folder, *words = sys.argv[1:]
jobs = [(name, seed) for seed in range(5) for name in ("adam", "sgd")]
for name, seed in jobs[int(first) :: int(step)]:
    words_of_run = [f"optimizer.name={name}", f"training.seed={seed}", "training.threads=1"]
    kilonet.train("quick", overrides=[*words, *words_of_run], out=f"{folder}/{name}-{seed}")
"""


def study(folder: Path, *words: str) -> subprocess.Popen[str]:
    """Start ``kilonet study`` with its studies in ``folder``."""
    return subprocess.Popen(
        [sys.executable, "-m", "kilonet", "study", *words],
        env={**os.environ, "KILONET_STUDIES": str(folder)},
        stdout=subprocess.PIPE,
        text=True,
    )


def timed(folder: Path, *words: str) -> tuple[float, str]:
    """Return the seconds that a study takes, and its output."""
    began = time.perf_counter()
    process = study(folder, *words)
    output, _ = process.communicate()
    if process.returncode:
        raise SystemExit(process.returncode)
    return time.perf_counter() - began, output


def example(folder: Path) -> dict[str, Any]:
    """Run the example of the documentation: two optimizers, five seeds, ten epochs."""
    seconds, output = timed(folder, *EXAMPLE, "--name", "digits-optimizer")
    lines = [line for line in output.splitlines() if " runs)" not in line and "Report:" not in line]
    words = ["kilonet", "study", *EXAMPLE]
    return {"command": " ".join(words), "seconds": seconds, "said": "\n".join(lines).strip()}


def killed(folder: Path) -> dict[str, Any]:
    """Compare twenty runs that are killed ten times at random with an undisturbed study."""
    seconds, _ = timed(folder, *SHORT, "--name", "whole")
    chance = random.Random(0)
    kills = 0
    for _ in range(KILLS):
        process = study(folder, *SHORT, "--name", "killed")
        try:
            process.communicate(timeout=chance.uniform(0.1, 0.3) * seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            kills += 1
    timed(folder, *SHORT, "--name", "killed")
    tables = ("cells.csv", "comparisons.csv", "runs.csv")
    same = all(_table(folder / "whole" / n) == _table(folder / "killed" / n) for n in tables)
    return {"runs": 20, "kills": kills, "same_table": same}


def _table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def overhead(folder: Path) -> dict[str, Any]:
    """Compare ten runs of a study with the same runs in two plain processes, twice, alternating."""
    studies, alone = [], []
    for turn in range(2):
        alone.append(plain(folder / f"alone-{turn}", 2))
        studies.append(timed(folder, *LONG, "--name", f"study-{turn}")[0])
    ratios = [a / b for a, b in zip(studies, alone, strict=True)]
    return {"study_seconds": studies, "alone_seconds": alone, "ratios": ratios}


def plain(folder: Path, number: int) -> float:
    """Return the seconds that the ten runs take in ``number`` plain processes."""
    began = time.perf_counter()
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", ALONE, str(first), str(number), str(folder), *LONG[1:4]]
        )
        for first in range(number)
    ]
    for process in processes:
        if process.wait():
            raise SystemExit(process.returncode)
    return time.perf_counter() - began


def plain_speedup(folder: Path) -> dict[str, Any]:
    """Measure two plain processes against one: the most that this machine can gain."""
    one, two = plain(folder / "one", 1), plain(folder / "two", 2)
    return {"one": one, "two": two, "speedup": one / two}


def ray(folder: Path) -> dict[str, Any]:
    """Measure a Ray cluster of two workers against one worker, on this machine."""
    seconds = {}
    for port, workers in ((6391, 1), (6392, 2)):
        words = ["--head", "--node-ip-address=127.0.0.1", f"--port={port}", "--block"]
        words += [f"--num-cpus={workers}", "--include-dashboard=false"]
        cluster = subprocess.Popen(
            [Path(sys.executable).parent / "ray", "start", *words],
            env={**os.environ, "RAY_worker_niceness": "0", "RAY_USAGE_STATS_ENABLED": "0"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _wait_for(f"127.0.0.1:{port}")
            where = ("--on", "ray", "--address", f"127.0.0.1:{port}")
            seconds[workers], _ = timed(folder, *LONG, "--name", f"ray-{workers}", *where)
        finally:
            cluster.terminate()
            cluster.wait()
    return {"one": seconds[1], "two": seconds[2], "speedup": seconds[1] / seconds[2]}


def _wait_for(address: str) -> None:
    for _ in range(300):
        try:
            find_cluster(address)
        except StudyError:
            time.sleep(0.5)
        else:
            return
    raise SystemExit(f"No cluster came up at {address}.")


PARTS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "example": example,
    "killed": killed,
    "overhead": overhead,
    "ray": ray,
    "plain": plain_speedup,
}


def main() -> None:
    """Measure the parts that the command line names, by default all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}")
    wanted = parser.parse_args().parts or [*PARTS]
    for name in wanted:
        if name not in PARTS:
            parser.error(f"no part {name}: {', '.join(PARTS)}")
    found = json.loads(RESULT.read_text(encoding="utf-8")) if RESULT.exists() else {}
    for name in wanted:
        with tempfile.TemporaryDirectory() as folder:
            found[name] = PARTS[name](Path(folder))
        print(name, json.dumps(found[name], ensure_ascii=False), flush=True)
        found["environment"] = environment("cpu", 1)
        write_text(RESULT, json.dumps(found, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
