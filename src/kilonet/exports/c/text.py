"""C text: literals, arrays, structs, comments, templates."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from string import Template
from typing import Any

import numpy as np
import numpy.typing as npt

from kilonet.exports.graph.operators import Shape

TIE = "\0"
"""A space at which no line may end."""

TYPES = {"f4": "float", "i1": "int8_t", "u1": "uint8_t", "i2": "int16_t", "u2": "uint16_t"}


@dataclass(frozen=True, eq=False)
class ConstantArray:
    """A static array of numbers."""

    name: str
    values: npt.NDArray[Any]

    def text(self) -> str:
        """Return its definition."""
        kind = TYPES[self.values.dtype.str[1:]]
        return (
            f"static const {kind} {self.name}[{self.values.size}] = {{\n{rows(self.values)}\n}};\n"
        )


def rows(values: npt.NDArray[Any], indent: int = 4) -> str:
    """Return the numbers of an array as the lines of a C initialiser."""
    margin = " " * indent
    numbers = ", ".join(map(number, values.ravel()))
    return textwrap.fill(numbers, 96, initial_indent=margin, subsequent_indent=margin)


def string(text: str) -> str:
    """Return a C string literal of the UTF-8 ``text``, with all special characters in octal."""
    safe = re.compile(rb"[A-Za-z0-9 _.,:;+/()-]")
    pieces = (bytes([b]) for b in text.encode())
    return '"' + "".join(p.decode() if safe.match(p) else f"\\{p[0]:03o}" for p in pieces) + '"'


def comment_text(text: str) -> str:
    """Return ``text`` in a form that is safe in a comment: ASCII, without delimiters."""
    return re.sub(r"[^A-Za-z0-9 _.,:;+()-]", "_", text)


def number(value: Any) -> str:
    """Return a literal that a compiler reads as the same number; floats get nine digits."""
    if not isinstance(value, float | np.floating):
        return str(int(value))
    digits = f"{float(value):.9g}"
    return f"{digits}f" if re.search(r"[.e]", digits) else f"{digits}.0f"


def shape_text(shape: Shape) -> str:
    """Return height x width x channels, or the length of a vector, as text."""
    return "x".join(map(str, (*shape[1:], shape[0])))


def struct(kind: str, name: str, fields: Mapping[str, object]) -> str:
    """Return the definition of a constant struct within a function."""
    values = ", ".join(f".{key}{TIE}={TIE}{value}" for key, value in fields.items())
    text = f"static const {kind} {name} = {{ {values}{TIE}}};"
    filled = textwrap.fill(text, 96, initial_indent="    ", subsequent_indent=" " * 8)
    return filled.replace(TIE, " ")


def template(folder: str, file: str, /, **values: str) -> str:
    """Return the text of a file in ``templates/`` with its $names replaced."""
    path = files("kilonet.exports.c") / "templates" / folder / file
    return Template(path.read_text(encoding="utf-8")).substitute(values)


def identifier(name: str) -> str:
    """Return ``name`` as a C identifier: letters, digits and underscores."""
    plain = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_").lower() or "model"
    return f"n{plain}" if plain[0].isdigit() else plain
