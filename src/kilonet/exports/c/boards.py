"""Microcontrollers that generated C is built for: compiler, memory, project files, emulator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kilonet.errors import UsageError, nearest
from kilonet.exports.c.emit import CSource
from kilonet.exports.c.text import template

ARM = "gcc-arm-none-eabi and libnewlib-arm-none-eabi"
RISC_V = "gcc-riscv64-unknown-elf and picolibc-riscv64-unknown-elf"


@dataclass(frozen=True)
class Board:
    """A microcontroller and the emulator that stands for it.

    ``flash`` and ``ram`` are (first address, bytes); the linker of AVR knows its own. ``packages``
    are the Debian packages of compiler and emulator. ``tick`` is what the emulator counts.
    """

    name: str
    title: str
    compiler: str
    flags: tuple[str, ...]
    emulator: tuple[str, ...]
    packages: str
    flash: tuple[int, int] | None = None
    ram: tuple[int, int] | None = None
    tick: str = "instructions"
    libraries: tuple[str, ...] = ("-lm",)

    @property
    def is_avr(self) -> bool:
        """Whether avr-libc starts the program, so that no start-up code is needed."""
        return self.flash is None

    @property
    def link_flags(self) -> tuple[str, ...]:
        """The flags of the linker, apart from libraries."""
        own = () if self.is_avr else ("-T", "link.ld", "-nostartfiles")
        return (*own, "-Wl,--gc-sections")


def _arm(core: str, machine: str, memory: tuple[int, int]) -> Board:
    flash, ram = memory
    emulator = ("qemu-system-arm", "-M", machine, "-icount", "shift=1", "-kernel")
    return Board(
        core,
        f"Arm {core.title()} (in QEMU: {machine})",
        "arm-none-eabi-gcc",
        (f"-mcpu={core}", "-mthumb", "--specs=nano.specs"),
        emulator,
        f"{ARM}; qemu-system-arm",
        (0, flash),
        (0x20000000, ram),
    )


_BOARDS = (
    _arm("cortex-m0", "microbit", (256 << 10, 16 << 10)),
    _arm("cortex-m3", "mps2-an385", (4 << 20, 4 << 20)),
    _arm("cortex-m4", "mps2-an386", (4 << 20, 4 << 20)),
    Board(
        "rv32",
        "RISC-V RV32IMAC (in QEMU: virt)",
        "riscv64-unknown-elf-gcc",
        ("-march=rv32imac", "-mabi=ilp32", "-mcmodel=medany", "--specs=picolibc.specs"),
        ("qemu-system-riscv32", "-M", "virt", "-bios", "none", "-icount", "shift=1", "-kernel"),
        f"{RISC_V}; qemu-system-misc",
        (0x80000000, 2 << 20),
        (0x80200000, 2 << 20),
    ),
    Board(
        "avr",
        "AVR ATmega1284P (in simavr)",
        "avr-gcc",
        ("-mmcu=atmega1284p", "-std=gnu99"),
        ("simavr", "-m", "atmega1284p", "-f", "16000000"),
        "gcc-avr and avr-libc; simavr",
        tick="cycles",
    ),
)
BOARDS: Mapping[str, Board] = {board.name: board for board in _BOARDS}


def find_board(name: str) -> Board:
    """Return the board called ``name``.

    Raises:
        UsageError: there is none.
    """
    if name not in BOARDS:
        raise UsageError(
            f'There is no microcontroller target "{name}".{nearest(name, BOARDS)} '
            f"Known: {', '.join(BOARDS)}."
        )
    return BOARDS[name]


def project_files(board: Board, code: CSource) -> dict[str, str]:
    """Return the files of a project that builds ``code`` for ``board``, by name.

    The layout is that of an Arduino and PlatformIO library too: sources are in ``src``.
    """
    files = {f"src/{code.name}.h": code.header, f"src/{code.name}.c": code.source}
    files |= {"library.properties": template("board", "library.properties", **code.values)}
    files |= {"main.c": template("board", "main.c", **code.values)}
    if not board.is_avr:
        files |= {"startup.c": template("board", "startup.c"), "link.ld": link_script(board)}
    sources = [name for name in files if name.endswith(".c")]
    build = {
        "compiler": board.compiler,
        "sources": " ".join(sorted(sources)),
        "flags": " ".join(board.flags),
        "link_flags": " ".join(board.link_flags).replace(
            "link.ld", "${CMAKE_CURRENT_SOURCE_DIR}/link.ld"
        ),
        "title": board.title,
    }
    files |= {"CMakeLists.txt": template("board", "CMakeLists.txt", **{**code.values, **build})}
    return files


def link_script(board: Board) -> str:
    """Return the linker script with the memory of ``board``."""
    assert board.flash is not None
    assert board.ram is not None
    memory = {"flash": board.flash, "ram": board.ram}
    origins = {f"{name}_origin": f"{begin:#x}" for name, (begin, _) in memory.items()}
    sizes = {f"{name}_size": f"{size >> 10}K" for name, (_, size) in memory.items()}
    return template("board", "link.ld", title=board.title, **origins, **sizes)
