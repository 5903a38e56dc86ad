"""Who takes part, how they are started, and what is said where they cannot be."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
from benchmarks.contest import ROOT, BenchmarkError
from benchmarks.entries import (
    BACKENDS,
    PEERS,
    PLAIN,
    VARIANTS,
    Settings,
    command,
    selected,
    variant,
)

from benchmarks import entries

SETTINGS = Settings(Path("/peers/python"), "/data")
FOLDER = ROOT / "benchmarks"
REQUIREMENTS = (FOLDER / "requirements.txt").read_text(encoding="utf-8").splitlines()


def test_names_are_unique_and_modules_exist() -> None:
    everyone = [*VARIANTS, *PEERS, *BACKENDS.values()]
    assert len({contestant.name for contestant in everyone}) == len(everyone)
    for contestant in everyone:
        assert (FOLDER / "contestants" / f"{contestant.module}.py").is_file()


def test_every_requirement_is_one_exact_version_and_no_address() -> None:
    for line in REQUIREMENTS:
        assert re.fullmatch(r"[a-z0-9-]+==\d+(\.\d+)+", line), line


def test_the_versions_that_both_sides_use_are_the_same() -> None:
    tested = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    for package in ("torch", "numpy", "pillow"):
        (theirs,) = [line for line in REQUIREMENTS if line.startswith(f"{package}==")]
        assert theirs in tested


def test_every_package_whose_version_is_reported_is_required() -> None:
    required = {line.partition("==")[0] for line in REQUIREMENTS}
    for contestant in (*PEERS, *BACKENDS.values()):
        assert set(contestant.packages) <= required


def test_the_peers_run_on_their_own_python() -> None:
    words = command(PLAIN, SETTINGS)
    assert words[:4] == ["/peers/python", "-m", "benchmarks.contestants.host", "plain_loop"]
    assert json.loads(words[4]) == {"data": "/data", "epochs": 15, "batch_size": 256}
    assert words[5:] == ["--warmup", "5", "--packages", "torch,numpy,pillow"]


def test_a_variant_of_ours_is_a_name_and_its_overrides() -> None:
    quicker = variant("quicker", "training.precision=bfloat16")
    words = command(quicker, SETTINGS)
    assert words[0] == sys.executable
    assert words[3] == "kilonet_loop"
    assert json.loads(words[4])["changes"] == ["training.precision=bfloat16"]


def test_who_is_left_out_is_left_out() -> None:
    settings = Settings(Path("/peers/python"), "/data", without=("tinygrad", "keras"))
    names = {contestant.name for contestant in selected(settings, [*VARIANTS, *PEERS])}
    assert names == {contestant.name for contestant in VARIANTS} | {"plain", "lightning"}


def test_a_name_that_is_nobodys_is_refused() -> None:
    entries.require_contestants(["plain"])
    with pytest.raises(BenchmarkError, match=r'--without plane: .* Did you mean "plain"'):
        entries.require_contestants(["plane"])


def test_a_missing_compiler_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(BenchmarkError, match=r"tinygrad .* clang, .* --without tinygrad"):
        selected(SETTINGS, PEERS)
    assert selected(Settings(Path("p"), "d", without=("tinygrad",)), PEERS)


def test_missing_peers_are_named() -> None:
    with pytest.raises(BenchmarkError, match=r"/peers/python is not there\. \"make bench\""):
        entries.require_peers(Path("/peers/python"))
