"""The contestants: the peers, and variants of Kilonet. Each variant is a line in ``VARIANTS``."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.contest import BenchmarkError, Contestant
from benchmarks.contestants import task
from kilonet.data.dataset import load_dataset
from kilonet.errors import nearest


@dataclass(frozen=True)
class Settings:
    """The settings of the command line."""

    peers: Path  # the Python that has the packages of requirements.txt
    data: str  # the folder of MNIST's four files
    rounds: int = 10
    steps: int = 20
    lead_in: int = 2
    quick: bool = False
    without: tuple[str, ...] = ()


def variant(name: str, *changes: str) -> Contestant:
    """Return ``kilonet.train`` of the recipe with the overrides ``changes`` as a contestant."""
    options = {"changes": list(changes)} if changes else {}
    return Contestant(name, "kilonet_loop", options, ("torch",), is_kilonet=True)


BFLOAT16, COMPILED = "training.precision=bfloat16", "training.kernels=compiled"
TORCH = "training.kernels=torch"
FASTEST = variant("kilonet, compiled", COMPILED)
VARIANTS = (
    variant("kilonet", TORCH),
    variant("kilonet, bfloat16", BFLOAT16, TORCH),
    FASTEST,
    variant("kilonet, 1 thread, compiled", COMPILED, "training.threads=1"),
)
# A removed variant with two training processes; results/bench-throughput.json still contains it.
FASTEST_MEASURED = "kilonet, 2 workers, compiled"

PLAIN = Contestant("plain", "plain_loop", packages=("torch", "numpy", "pillow"))
LIGHTNING = Contestant("lightning", "lightning_loop", packages=("lightning", "torch"))
TINYGRAD = Contestant("tinygrad", "tinygrad_loop", packages=("tinygrad",))

BACKENDS = {
    "keras-tensorflow": Contestant(
        "keras-tensorflow", "keras_loop", {"backend": "tensorflow"}, ("keras", "tensorflow-cpu")
    ),
    "keras-jax": Contestant("keras-jax", "keras_loop", {"backend": "jax"}, ("keras", "jax")),
    "keras-torch": Contestant(
        "keras-torch", "keras_loop", {"backend": "torch"}, ("keras", "torch")
    ),
}
KERAS = replace(BACKENDS["keras-tensorflow"], name="keras")

PEERS = (PLAIN, LIGHTNING, KERAS, TINYGRAD)
LOADER_WORKERS = (0, 1, 2)


def require_contestants(without: Sequence[str]) -> None:
    """Check that each name to leave out is a contestant."""
    names = [contestant.name for contestant in (*VARIANTS, *PEERS)]
    for name in without:
        if name not in names:
            raise BenchmarkError(
                f"--without {name}: there is no such contestant.{nearest(name, names)} "
                f"Contestants: {', '.join(names)}."
            )


def selected(settings: Settings, everyone: Sequence[Contestant]) -> list[Contestant]:
    """Return ``everyone`` except those left out; check the compiler if tinygrad is among them."""
    found = [contestant for contestant in everyone if contestant.name not in settings.without]
    if TINYGRAD in found:
        require_compiler()
    return found


def require_compiler() -> None:
    """Check that tinygrad finds its C compiler."""
    compiler = os.environ.get("CC", "clang")
    if shutil.which(compiler) is None:
        raise BenchmarkError(
            f"tinygrad compiles its kernels with {compiler}, which is not on the path. Install it "
            "(on Debian: apt-get install clang), or leave tinygrad out: --without tinygrad."
        )


def command(contestant: Contestant, settings: Settings) -> list[str]:
    """Return the command line that runs ``contestant`` under the line protocol."""
    options = {
        "data": settings.data,
        "epochs": task.EPOCHS,
        "batch_size": task.BATCH_SIZE,
        **contestant.options,
    }
    python = sys.executable if contestant.is_kilonet else str(settings.peers)
    host = [python, "-m", "benchmarks.contestants.host", contestant.module, json.dumps(options)]
    warmup = ["--warmup", str(contestant.warmup_steps)]
    return [*host, *warmup, "--packages", ",".join(contestant.packages)]


def mnist_folder() -> str:
    """Return the folder of MNIST's files, downloaded if necessary.

    Raises:
        BenchmarkError: the files are not the published archives.
    """
    folder = Path(load_dataset("mnist").source)
    if not (folder / "train-images-idx3-ubyte.gz").is_file():
        raise BenchmarkError(
            f"{folder} holds MNIST's files unpacked; the peers read the published .gz files. "
            "Name a folder that has those in KILONET_DATA."
        )
    return str(folder)


def require_peers(python: Path) -> None:
    """Check that the peers' Python exists."""
    if not python.exists():
        raise BenchmarkError(
            f'{python} is not there. "make bench" makes it: a virtual environment with '
            "benchmarks/requirements.txt. Another one is named with --peers."
        )
