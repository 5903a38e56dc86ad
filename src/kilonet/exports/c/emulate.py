"""Generated C on emulated microcontrollers: built, linked, run on images, and measured."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kilonet.errors import KilonetError
from kilonet.exports.c.boards import Board, project_files
from kilonet.exports.c.emit import CSource
from kilonet.exports.c.text import rows, template
from kilonet.exports.graph.interpret import Pixels
from kilonet.files import temporary_folder

FLASH_IMAGES = 36
"""Images that one program for AVR contains: constants lie in the first 32 kB of its flash."""

SECONDS_PER_IMAGE = 60
CALIBRATION = 2_000_000
"""Instructions that the program runs first, to learn what a tick of its clock is."""

WARNINGS = ("-std=c99", "-Wall", "-Wextra", "-O2", "-ffunction-sections")


@dataclass(frozen=True)
class Measurement:
    """What a network needs on a microcontroller, and what it computes there.

    ``flash`` and ``static_ram`` are those that the linker reports for the firmware ``main.c`` of
    the exported project: start-up code, library functions and the image are included.
    ``stack`` is the largest use that was found below ``main``. ``ticks`` is the mean of one image,
    in the board's unit.
    """

    flash: int
    static_ram: int
    stack: int
    ticks: float
    labels: npt.NDArray[np.int64]
    logits: npt.NDArray[np.int64]

    @property
    def ram(self) -> int:
        """Static memory, the image included, and stack."""
        return self.static_ram + self.stack


def missing_tools(board: Board) -> str | None:
    """Return which programs for ``board`` are missing and what installs them, or None."""
    needed = (board.compiler, board.emulator[0])
    missing = [name for name in needed if shutil.which(name) is None]
    if not missing:
        return None
    return f"no {' and no '.join(missing)} on the PATH (Debian packages: {board.packages})"


def measure(board: Board, code: CSource, images: Pixels) -> Measurement:
    """Build ``code`` for ``board``, run it on ``images`` uint8 (N, 1, H, W) and measure it.

    Raises:
        KilonetError: programs are missing, the network does not fit, or the emulator fails.
    """
    reason = missing_tools(board)
    if reason:
        raise KilonetError(f"There is {reason}.")
    with temporary_folder() as place:
        folder = Path(place)
        for name, content in project_files(board, code).items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(content, encoding="utf-8")
        flash, static_ram = _sizes(board, _build(board, folder, code.name, "main.c"))
        step = FLASH_IMAGES if board.is_avr else len(images)
        parts = [
            _run(board, folder, code, images[i : i + step]) for i in range(0, len(images), step)
        ]
    found = np.concatenate(parts)
    labels, ticks, stack, logits = found[:, 0], found[:, 1], found[:, 2], found[:, 3:]
    return Measurement(flash, static_ram, int(stack.max()), float(ticks.mean()), labels, logits)


def _build(board: Board, folder: Path, name: str, program: str) -> Path:
    """Compile and link ``program`` with the network, and return the file."""
    own = () if board.is_avr else ("startup.c",)
    flags = (*WARNINGS, *board.flags, "-Isrc", *board.link_flags)
    output = f"{Path(program).stem}.elf"
    sources = (program, f"src/{name}.c", *own)
    command = [board.compiler, *flags, *sources, "-o", output, *board.libraries]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        overflow = re.search(r"region `(\w+)' overflowed by (\d+) bytes", done.stderr)
        if overflow:
            raise KilonetError(
                f"{name} does not fit into the {overflow[1]} of {board.title}: "
                f"{int(overflow[2]):,} bytes too many. Choose a smaller network or another target."
            )
        first = next((line for line in done.stderr.splitlines() if "error" in line), "no message")
        raise KilonetError(f"{board.compiler} could not build {name}: {first}")
    return folder / output


def _sizes(board: Board, program: Path) -> tuple[int, int]:
    """Return the bytes of flash and of static RAM of a linked program."""
    size = board.compiler.replace("-gcc", "-size")
    done = subprocess.run([size, str(program)], capture_output=True, text=True, check=True)
    text, data, bss = map(int, done.stdout.splitlines()[1].split()[:3])
    return text + data, data + bss


def _run(board: Board, folder: Path, code: CSource, images: Pixels) -> npt.NDArray[np.int64]:
    """Return the numbers that the program printed for each image: (N, 3 + classes)."""
    flat = np.ascontiguousarray(images.transpose(0, 2, 3, 1)).reshape(len(images), -1)
    (folder / "images.bin").write_bytes(flat.tobytes())
    content = ",\n".join(f"{{\n{rows(image)}}}" for image in flat) if board.is_avr else ""
    words = {**code.values, "images": str(len(images)), "content": content}
    part = template("board", "uart.c" if board.is_avr else "semihosting.c", **words)
    text = template("board", "benchmark.c", **words, board=part)
    (folder / "benchmark.c").write_text(text, encoding="utf-8")
    program = _build(board, folder, code.name, "benchmark.c")
    output = _emulate(board, program, SECONDS_PER_IMAGE * len(images))
    lines = [list(map(int, line.split())) for line in re.findall(r"^[-\d ]+$", output, re.M)]
    if len(lines) != len(images) + 1:
        raise KilonetError(f"{code.name} stopped on {board.title} at image {max(len(lines), 1)}.")
    scale = CALIBRATION / lines[0][0]
    found = np.array(lines[1:], np.int64)
    found[:, 1] = np.rint(found[:, 1] * scale)
    return found


def _emulate(board: Board, program: Path, seconds: float) -> str:
    """Return what ``program`` prints in the emulator."""
    options = [] if board.is_avr else ["-display", "none", "-monitor", "none", "-serial", "none"]
    options += [] if board.is_avr else ["-semihosting-config", "enable=on,target=native"]
    command = [*board.emulator, program.name, *options]
    try:
        done = subprocess.run(
            command,
            cwd=program.parent,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise KilonetError(f"{board.emulator[0]} did not end in {seconds:.0f} s.") from error
    text = (done.stdout + done.stderr).decode("utf-8", "replace")
    return re.sub(r"\x1b\[[\d;]*m", "", text).replace("\r", "").replace(".\n", "\n")
