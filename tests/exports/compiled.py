"""Generated C, compiled as a careful user would, and run on batches of pictures."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kilonet.exports.c.emit import CSource
from kilonet.exports.graph.interpret import Pixels

STRICT = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-Wconversion", "-Wshadow")
SANITIZED = ("-O0", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")

DRIVER = """
#include "{name}.h"
#include <stdio.h>

int main(void)
{{
    static uint8_t image[{pixels}];
    static {logit} logits[{classes}];
    static float probabilities[{classes}];

    while (fread(image, 1, sizeof image, stdin) == sizeof image) {{
        const int label = {name}_predict(image, logits);
        {name}_probabilities(logits, probabilities);
        fwrite(&label, sizeof label, 1, stdout);
        fwrite(logits, sizeof logits, 1, stdout);
        fwrite(probabilities, sizeof probabilities, 1, stdout);
    }}
    return 0;
}}
"""


@dataclass(frozen=True)
class Answers:
    """What the compiled network said of some pictures."""

    labels: Any
    logits: Any
    probabilities: Any


@dataclass(frozen=True)
class Compiled:
    """The files of an export in a folder, and how it is compiled."""

    found: CSource
    folder: Path
    images: tuple[int, ...]
    classes: int
    whole: bool

    def run(self, images: Pixels, *flags: str, compiler_name: str = "gcc") -> Answers:
        """Compile the source with a driver and return what it says of ``images`` (N, C, H, W)."""
        driver = self.folder / "driver.c"
        logit = "int16_t" if self.whole else "float"
        words = {"pixels": int(np.prod(self.images)), "classes": self.classes, "logit": logit}
        driver.write_text(DRIVER.format(name=self.found.name, **words), encoding="utf-8")
        program = self.build("driver", *flags, str(driver), compiler_name=compiler_name)
        given = np.ascontiguousarray(images.transpose(0, 2, 3, 1)).tobytes()
        done = subprocess.run([program], input=given, capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, b"")
        return self._read(done.stdout)

    def self_test(
        self, *flags: str, compiler_name: str = "gcc"
    ) -> subprocess.CompletedProcess[str]:
        """Compile the source with its own main and run it."""
        chosen = f"-D{self.found.name.upper()}_SELF_TEST"
        program = self.build("self_test", chosen, *flags, compiler_name=compiler_name)
        return subprocess.run([program], capture_output=True, text=True, check=False)

    def build(self, name: str, *flags: str, compiler_name: str = "gcc") -> Path:
        """Compile the source as the program ``name``; no warning is let through."""
        program = self.folder / name
        command = [compiler_name, *STRICT, *flags, str(self.folder / self.file)]
        done = subprocess.run(
            [*command, "-o", str(program), "-lm"], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
        return program

    @property
    def file(self) -> str:
        """The name of the source."""
        return f"{self.found.name}.c"

    def _read(self, content: bytes) -> Answers:
        logit = np.int16 if self.whole else np.float32
        row = np.dtype(
            [
                ("label", np.int32),
                ("logits", logit, self.classes),
                ("probabilities", np.float32, self.classes),
            ]
        )
        rows = np.frombuffer(content, row)
        return Answers(rows["label"], rows["logits"], rows["probabilities"])


def written(found: CSource, folder: Path, graph: Any, whole: bool) -> Compiled:
    """Write an export into ``folder``."""
    (folder / f"{found.name}.h").write_text(found.header, encoding="utf-8")
    (folder / f"{found.name}.c").write_text(found.source, encoding="utf-8")
    return Compiled(found, folder, graph.image, len(graph.classes), whole)
