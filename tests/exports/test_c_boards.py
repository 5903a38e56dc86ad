"""Generated C on microcontrollers: projects that build, and emulated runs that match."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from networks import example, example_int8, pictures

from kilonet.errors import KilonetError, UsageError
from kilonet.exports.c.boards import BOARDS, find_board, project_files
from kilonet.exports.c.emit import emit
from kilonet.exports.c.emulate import measure, missing_tools
from kilonet.exports.int8.interpret import interpret_int8


@pytest.mark.parametrize("board", ["cortex-m0", "rv32", "avr"])
def test_emulated_run_equals_the_reference(board: str) -> None:
    reason = missing_tools(BOARDS[board])
    if reason:
        pytest.skip(reason)
    graph, images = example_int8("kilonet-0.5k"), pictures(1, seed=3)
    code = emit(graph, "net")
    found = measure(BOARDS[board], code, images)
    expected = interpret_int8(graph, images)["logits"]
    np.testing.assert_array_equal(found.logits, expected)
    assert found.labels.tolist() == expected.argmax(1).tolist()
    assert found.flash > code.weight_bytes
    assert found.static_ram >= code.arena_bytes
    assert 16 < found.stack < 2_000
    assert 200_000 < found.ticks < 60_000_000  # its multiplications, at most 300 times as many


@pytest.mark.parametrize("board", BOARDS)
def test_project_builds_without_a_warning(board: str, tmp_path: Path) -> None:
    if shutil.which(BOARDS[board].compiler) is None or shutil.which("cmake") is None:
        pytest.skip(f"no {BOARDS[board].compiler} or no cmake on the PATH")
    for name, content in project_files(
        BOARDS[board], emit(example_int8("kilonet-0.5k"), "net")
    ).items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content, encoding="utf-8")
    command = "cmake -B build -DCMAKE_C_FLAGS=-Wall && cmake --build build"
    done = subprocess.run(
        command, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr


def test_network_too_large_for_a_board_is_named() -> None:
    reason = missing_tools(BOARDS["cortex-m0"])
    if reason:
        pytest.skip(reason)
    code = emit(example("gap-iter0").graph, "net")
    with pytest.raises(KilonetError, match="net does not fit into the RAM of Arm Cortex-M0"):
        measure(BOARDS["cortex-m0"], code, pictures(1))


def test_unknown_board_and_missing_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r'no microcontroller target "cortex-m9".*cortex-m0'):
        find_board("cortex-m9")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(KilonetError, match=r"no avr-gcc and no simavr on the PATH \(Debian"):
        measure(BOARDS["avr"], emit(example_int8("kilonet-0.5k"), "net"), pictures(1))
